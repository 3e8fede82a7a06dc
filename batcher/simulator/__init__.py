"""An OpenAI-compatible provider on loopback, with the limits and the faults of real ones.

    async with serve(SimulatorConfig(rpm=500, tpm=30_000)) as simulator:
        client = AsyncOpenAI(base_url=simulator.base_url, api_key="any")

It shares no code with the rest of the package: it is what the rest is tested against.
"""

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.server import Simulator, serve
from batcher.simulator.stats import Stats

__all__ = ["Simulator", "SimulatorConfig", "Stats", "serve"]
