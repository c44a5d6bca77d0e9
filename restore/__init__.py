"""Turn stripped text back into readable prose, so that stripping the prose gives the stripped text back.

>>> from restore import strip_text
>>> strip_text("US immigration officials routinely deport non-citizens.")
'u immigration official routinely deport non citizen'

`restore_text(text)` restores one text; a `Restorer` holds the models for those who restore many.
"""

from restore.channel import Channel, channel_names, get_channel, strip_text
from restore.config import Config
from restore.decoder import Pin
from restore.errors import ChannelError, InputError, ResourceError, RestoreError
from restore.restoration import Edit, Kept, Restoration, Span
from restore.restorer import Restorer, restore_text
from restore.style import Style
from restore.version import __version__

__all__ = [
    "Channel",
    "ChannelError",
    "Config",
    "Edit",
    "InputError",
    "Kept",
    "Pin",
    "ResourceError",
    "Restoration",
    "RestoreError",
    "Restorer",
    "Span",
    "Style",
    "__version__",
    "channel_names",
    "get_channel",
    "restore_text",
    "strip_text",
]
