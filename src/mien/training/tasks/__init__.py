"""Training tasks: expression classification and face detection."""
