"""Where frames end: files, level meters, lists."""
