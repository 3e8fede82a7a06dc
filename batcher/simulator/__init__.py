"""An OpenAI-compatible provider on loopback, with real limit behaviour."""
