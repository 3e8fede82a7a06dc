"""What goes wrong on purpose, in the words of each provider.

- :mod:`.azure_faults`: Status faults in Azure's dialect: code and message alone, and API
  Management's flat object.
- :mod:`.due`: Faults: which one meets a request, by a marker in its text or by chance.
- :mod:`.fault_context`: What a status fault is: one line about it, and the answer it gives.
- :mod:`.fault_replies`: The answers of all status faults by name, each as some real provider or
  proxy gives it.
- :mod:`.openai_faults`: Status faults as OpenAI answers them: its error object, its codes and its
  words.
- :mod:`.server_faults`: Status faults of everybody else: vLLM, llama.cpp, gateways, and proxies
  that answer HTML.
"""
