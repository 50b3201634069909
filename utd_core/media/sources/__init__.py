"""Where frames come from. Each source gives frames of one fixed shape, one `read()` at a time."""
