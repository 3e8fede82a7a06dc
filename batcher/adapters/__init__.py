"""The ports made real: files, HTTP, SQL, throttles, tokenizers."""
