"""What a run trains for: expression classification or face detection."""
