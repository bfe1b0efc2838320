"""Kernels of an app: each visitor has one, so their number is limited."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import Integer


class LimitedKernelManager(AsyncMappingKernelManager):
    """Refuses to start a kernel if the allowed number is running."""

    most = Integer(8, min=1, config=True, help="How many kernels may run at once.")

    _starting = 0

    async def start_kernel(self, *given: Any, **options: Any) -> str:
        """Start a kernel; its id.

        Raises
        ------
        HTTPError : 503, no more kernels may be started now.
        """
        if len(self) + self._starting >= self.most:
            raise HTTPError(503, reason=f"All {self.most} places are taken. Please try again in a few minutes.")
        self._starting += 1
        try:
            return await super().start_kernel(*given, **options)
        finally:
            self._starting -= 1
