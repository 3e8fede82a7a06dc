"""What is asked of the provider, validated as OpenAI validates it.

- :mod:`.calls`: What every request has: a JSON body, a model, texts and a cost.
- :mod:`.chat_call`: A chat request, validated as OpenAI validates it.
- :mod:`.embeddings_call`: An embeddings request, validated as OpenAI validates it.
- :mod:`.response_format`: What form a chat answer was asked to have, checked as strictly as OpenAI
  checks it.
"""
