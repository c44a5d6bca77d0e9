"""Channels: the ways in which texts are stripped, as values.

>>> strip_text("US immigration officials routinely deport non-citizens.")
'u immigration official routinely deport non citizen'
"""

from restore.channel.channel import Channel, Token
from restore.channel.presets import channel_names, get_channel

__all__ = ["Channel", "Token", "channel_names", "get_channel", "strip_text"]


def strip_text(text: str, channel: str | Channel = "nltk") -> str:
    """Strip a text as the channel does.

    Args:
        text: any text.
        channel: a channel or the name of one.

    Returns:
        The kept tokens, separated by single spaces.

    Raises:
        ChannelError: no channel of that name.
    """
    return get_channel(channel).strip(text)
