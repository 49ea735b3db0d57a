"""The shells: they translate, call and print."""
