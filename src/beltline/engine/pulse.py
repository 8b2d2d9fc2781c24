"""The node's sign of life, and what it learns by giving it."""

from __future__ import annotations

from beltline.engine.committer import Committer
from beltline.engine.loader import Loader
from beltline.engine.ports import Bell, Clock, Report, Store, StoreAway, StoreFull


class Pulse:
    """Beats several times in each lease. `every_ms` is the time from one beat to the next."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        loader: Loader,
        clock: Clock,
        bell: Bell,
        report: Report,
        every_ms: int,
    ) -> None:
        self._store = store
        self._committer = committer
        self._loader = loader
        self._clock = clock
        self._bell = bell
        self._report = report
        self._every_ms = every_ms

    async def run(self) -> None:
        """Beats for as long as the node lives. Raises `LeaseLost`."""
        while True:
            await self._bell.wait(self._clock.now() + self._every_ms)
            try:
                beat = await self._store.beat()
            except StoreAway:
                self._committer.hear(is_away=True)
                continue  # the next one may come through in time
            except StoreFull:
                continue
            self._committer.hear(is_away=False)
            if beat.now is not None:
                self._clock.follow(beat.now)
            if beat.recovered:
                self._report("runs of a silent node were taken over", "", f"{beat.recovered} runs")
            if beat.has_suspects:
                self._loader.suspect()
