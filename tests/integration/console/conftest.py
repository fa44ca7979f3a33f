"""A tenant on the shared service, and a browser of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.support.browser import Page, browser
from tests.support.tenants import DemoTenant, make_tenant


@pytest.fixture
async def tenant(service_url: str, platform_key: str) -> DemoTenant:
    """A tenant with agents."""
    return await make_tenant(service_url, platform_key)


@pytest.fixture
async def page(chromium: tuple[str, str], short_folder: Path) -> AsyncIterator[Page]:
    """A window in a new browser; at the end it must have had nothing to complain about."""
    # Not the test's own folder: Chromium makes a socket, whose path may have 107 characters.
    folder = Path(mkdtemp(prefix="browser-", dir=short_folder))
    async with browser(chromium, folder) as page:
        yield page
        assert await page.complaints() == []
