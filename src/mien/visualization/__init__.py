"""Results to look at: annotated and anonymised frames, avatars, HTML reports."""
