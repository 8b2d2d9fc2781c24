"""A local stand-in of a Bitrix24 portal, for tests, the demo and work without the network.

It answers the REST methods that an integration of a CRM needs, with the portal's names, types,
envelopes, error shapes, pages, limits and outgoing events, over one SQLite file. It is a program of
its own (`python -m bitrix24_portal`) and knows nothing of the hub that it is used with.

Where it is known to differ from a real portal, it is stricter and says so: a value of a wrong type
is refused where the portal may quietly turn it into 0, an unknown filter of `crm.duplicate` is an
error, and files are refused. `event.bind` works with a webhook, so that no application is needed.
"""

from bitrix24_portal.app import create_app
from bitrix24_portal.portal import Portal
from bitrix24_portal.settings import PortalSettings

__all__ = ["Portal", "PortalSettings", "create_app"]
