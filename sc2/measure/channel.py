"""End-to-end latency over a modelled channel: what a split takes per image, and the rate at which two take the same.

    T = device + 8 · B / rate + round trip + server

`device` is the encoder and its coder, `server` the decoder and the rest of the network, B the bytes of one image. Both
times grow with B where that was measured (`sc2.measure.slope`). The channel loses nothing and its rate is that of the
uplink; the answer, a few bytes, costs the round trip alone. It is needed on the device: what answers there itself has
no link in its latency.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sc2.errors import DataError
from sc2.measure.resampling import NO_INTERVAL, Interval

Values = NDArray[np.float64]
BITS_PER_BYTE = 8.0
US_PER_MS = 1000.0

Reading = Literal["read", "computed"]
"""How a number came here: read in its source, or computed from numbers there."""


@dataclass(frozen=True)
class Channel:
    """A link without losses.

    Attributes:
        kbit_s: Rate of the uplink (kbit/s, > 0).
        rtt_ms: Round-trip time (ms, ≥ 0).
    """

    kbit_s: float
    rtt_ms: float

    def __post_init__(self) -> None:
        if not (self.kbit_s > 0 and self.rtt_ms >= 0 and math.isfinite(self.rtt_ms)):
            raise DataError(f"a channel needs a rate above 0 and a round trip of at least 0: {self}")


@dataclass(frozen=True)
class Preset:
    """A channel with a name, and where its numbers are from.

    Attributes:
        name: Short name, in tables and links.
        title: Name for readers.
        channel: Its rate and round trip.
        rate_source: Source of the rate.
        rate_reading: How the rate was read there.
        rtt_source: Source of the round trip.
        rtt_reading: How the round trip was read there.
    """

    name: str
    title: str
    channel: Channel
    rate_source: str
    rate_reading: Reading
    rtt_source: str
    rtt_reading: Reading


PRESETS = (
    Preset(
        "lora",
        "LoRa",
        Channel(37.5, 1000.0),
        "Semtech SX1276/77/78/79 data sheet: spreading factor 6, 500 kHz, coding rate 4/5: 6 · 500,000 / 2⁶ · 4/5",
        "computed",
        "LoRaWAN regional parameters (RP002-1.0.5, 3.3): RECEIVE_DELAY1, from uplink to first receive window, is 1 s",
        "read",
    ),
    Preset(
        "nb_iot",
        "NB-IoT",
        Channel(62.5, 837.0),
        "3GPP Release 13, category NB1: the largest block, 1000 bits, in 4 ms of all tones, with 1 ms of grant, 8 ms "
        "before it and 3 ms after it (techplayon.com, NB-IoT peak data rate calculation)",
        "computed",
        "Ugwuanyi, Paul, Irvine, Electronics 10(18):2224, 2021: latency measured on a private network",
        "read",
    ),
    Preset(
        "4g",
        "4G",
        Channel(6000.0, 70.0),
        "Huang et al., MobiSys 2012: median uplink of LTE measured on users' phones",
        "read",
        "Opensignal, USA 2017 and 2019, in D. Dawson, POTs and PANs, 31 July 2019: average latency of 4G at four "
        "carriers, 57.8 to 70.1 ms, of which the longest",
        "read",
    ),
    Preset(
        "wifi",
        "Wi-Fi",
        Channel(20_000.0, 3.0),
        "B. Mitchell, How Fast Is a Wi-Fi Network?, Lifewire, 16 June 2021: 802.11a and g usually run no faster than "
        "20 Mbit/s in use",
        "read",
        "Sui et al., MobiSys 2016: median latency of the Wi-Fi hop on a campus",
        "read",
    ),
)
"""Channels that tables and the page show, from slow to fast."""


@dataclass(frozen=True)
class Side:
    """The time of one side of the link.

    Attributes:
        typical_ms: Median over timed images (ms).
        interval: 95 % interval of `typical_ms`.
        us_per_byte: How much longer an image takes per byte that it has more (µs, ≥ 0).
    """

    typical_ms: float
    interval: Interval = NO_INTERVAL
    us_per_byte: float = 0.0


@dataclass(frozen=True)
class Split:
    """What one operating point costs besides the channel.

    Attributes:
        device: Encoder and coder on the device.
        server: Decoder and network on the server.
        sizes: Bytes of each image on the link, [images], at least one.
        answers_on_device: Whether the device has the answer itself, and waits for no link.
        typical_bytes: Median size of the timed images, which takes the typical times.
        least_bytes: Smallest size of the timed images; smaller images are taken to need no less time.
    """

    device: Side
    server: Side
    sizes: Values = field(repr=False)
    answers_on_device: bool = False
    typical_bytes: float = 0.0
    least_bytes: float = 0.0

    def side_ms(self, side: Side) -> Values:
        """Return the time that each image takes on one side, [images] (ms)."""
        times: Values = side.typical_ms + side.us_per_byte / US_PER_MS * self._more_bytes
        return times

    def mean_ms(self, side: Side) -> float:
        """Return the mean time over the images on one side (ms)."""
        return float(side.typical_ms + side.us_per_byte / US_PER_MS * self._more_bytes.mean())

    def interval(self, side: Side) -> Interval:
        """Return the interval of the typical time, moved to the mean."""
        moved = self.mean_ms(side) - side.typical_ms
        return Interval(side.interval.low + moved, side.interval.high + moved)

    @property
    def _more_bytes(self) -> Values:
        more: Values = np.maximum(self.sizes, self.least_bytes) - self.typical_bytes
        return more

    @property
    def mean_bytes(self) -> float:
        """Mean bytes that the answer waits for; none where the device answers."""
        return 0.0 if self.answers_on_device else float(self.sizes.mean())

    def fixed_ms(self, rtt_ms: float) -> float:
        """Return what does not depend on the rate, mean over the images."""
        device = self.mean_ms(self.device)
        return device if self.answers_on_device else device + rtt_ms + self.mean_ms(self.server)

    def fixed_interval(self, rtt_ms: float) -> Interval:
        """Return the ends of `fixed_ms`: the sums of those of its parts, which is rather too wide."""
        device, server = self.interval(self.device), self.interval(self.server)
        if self.answers_on_device:
            return device
        return Interval(device.low + rtt_ms + server.low, device.high + rtt_ms + server.high)

    def latency_ms(self, channel: Channel) -> Values:
        """Return the latency of each image, [images]."""
        device = self.side_ms(self.device)
        if self.answers_on_device:
            return device
        fixed = device + channel.rtt_ms + self.side_ms(self.server)
        latency: Values = transmit_ms(self.sizes, channel.kbit_s) + fixed
        return latency


def transmit_ms(num_bytes: ArrayLike, kbit_s: float) -> Values:
    """Return how long some bytes take; bits by kbit/s are milliseconds."""
    return np.asarray(num_bytes, dtype=np.float64) * BITS_PER_BYTE / kbit_s


def missed_pct(latency_ms: Values, deadline_ms: float) -> float:
    """Return the share of images whose answer comes after a deadline (%)."""
    return 100.0 * float(np.mean(latency_ms > deadline_ms))


@dataclass(frozen=True)
class BreakEven:
    """Below which rate the first of two splits, which sends fewer bytes, has the shorter mean latency.

    Attributes:
        kbit_s: That rate: ∞ where it is faster at every rate, 0 at none.
        interval: Its ends for the ends of both splits' times; one may be ∞.
    """

    kbit_s: float
    interval: Interval


def break_even(fewer: Split, other: Split, rtt_ms: float) -> BreakEven:
    """Return the rate at which two splits have the same mean latency.

    Args:
        fewer: The split that sends no more bytes than the other.
        other: The other one.
        rtt_ms: Round trip; it counts only where one of the two answers on the device.

    Raises:
        DataError: The first split sends more bytes.
    """
    saved = other.mean_bytes - fewer.mean_bytes
    if saved < 0:
        raise DataError(f"the first split sends {-saved:g} bytes more than the other: give them in the other order")
    more = fewer.fixed_ms(rtt_ms) - other.fixed_ms(rtt_ms)
    own, others = fewer.fixed_interval(rtt_ms), other.fixed_interval(rtt_ms)
    most, least = own.high - others.low, own.low - others.high
    ends = NO_INTERVAL if math.isnan(most + least) else Interval(_rate(saved, most), _rate(saved, least))
    return BreakEven(_rate(saved, more), ends)


def _rate(saved_bytes: float, more_ms: float) -> float:
    """Return the rate below which saving some bytes is worth some milliseconds."""
    return math.inf if more_ms <= 0 else saved_bytes * BITS_PER_BYTE / more_ms
