"""What removes the background of one file: this process, or a remote service."""
