"""An OpenAI-compatible provider on loopback, with the limits and the faults of real ones.

    async with serve(SimulatorConfig(rpm=500, tpm=30_000)) as simulator:
        client = AsyncOpenAI(base_url=simulator.base_url, api_key="any")

It shares no code with the rest of the package: it is what the rest is tested against.

- :mod:`.config`: What a simulated provider is told to be: its limits, its manners and its faults.
- :mod:`.faults`: What goes wrong on purpose, in the words of each provider.
- :mod:`.kept`: Answers kept for idempotency keys, as gateways keep them.
- :mod:`.limits`: Rate limits as a provider enforces them: buckets that refill continuously, or
  windows.
- :mod:`.provider`: The provider behind the HTTP: what it admits, what it charges, and what it works
  on.
- :mod:`.replies`: Answers that are not results: errors in the words and shapes of the providers.
- :mod:`.requests`: What is asked of the provider, validated as OpenAI validates it.
- :mod:`.results`: What a provider answers when nothing is wrong; all of it chosen
  deterministically.
- :mod:`.routes`: Paths: which endpoint a request asks for, and as whom.
- :mod:`.seen`: A set of 16-byte hashes in little memory: 24 to 48 bytes a member, a set of bytes
  needs 110.
- :mod:`.server`: The provider's HTTP: paths, headers and connections, on loopback.
- :mod:`.stats`: What the provider saw: the truth against which a client's own books are held.
- :mod:`.windows`: Rate limits that are counted in windows, as most gateways do, instead of refilled
  evenly.
"""

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.server import Simulator, serve
from batcher.simulator.stats import Stats

__all__ = ["Simulator", "SimulatorConfig", "Stats", "serve"]
