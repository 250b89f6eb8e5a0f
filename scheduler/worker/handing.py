"""Handing one envelope to a channel, whatever the channel does. What comes of it for a row is the caller's to say."""

from __future__ import annotations

from scheduler.messaging import Channel, DeliveryError, Envelope
from scheduler.worker.hands import complain


def hand_over(channel: Channel, envelope: Envelope, what: str) -> str | DeliveryError | None:
    """What the provider calls it, if anything, or why it was not taken; `what` it is, for the log.

    A channel that breaks in a way of its own is a failure like others: to be tried again.
    """
    try:
        return channel.deliver(envelope)
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - one broken delivery is its own fault
        complain(f"{what} met a broken channel", error)
        return DeliveryError(f"The channel broke: {type(error).__name__}.", permanent=False, unsure=True)
