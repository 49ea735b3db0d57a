"""Images, videos and cameras in; files out."""
