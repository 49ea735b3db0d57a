"""Results to look at: annotated and anonymized frames, avatars, HTML reports."""
