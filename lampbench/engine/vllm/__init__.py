"""vLLM as a server: token ids go in and come out over HTTP."""
