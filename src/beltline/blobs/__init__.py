"""Where the files of requests are kept."""
