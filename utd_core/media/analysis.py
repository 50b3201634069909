"""Did they hear it? The likeness of two recordings, as they lie and piece by piece.

Needs numpy (`pip install "utd-core[av]"`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from .extras import needs_extra
from .frames import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEAST_OVERLAP = 0.5
"""Share of the shorter signal that must lie on the other one; a few samples match anything."""
LEAST_ENERGY = 0.05
"""Share of a signal's energy that must lie in the overlap; the noise of a pause matches anything."""

PLACED = 0.5
"""Peak from which the lag of a piece counts as its place."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """`peak`: 0 (nothing in common) to 1 (the same but for loudness). `lag`: samples by which the second signal
    is later than the first, negative when it is earlier."""

    peak: float
    lag: int


@dataclass(frozen=True, slots=True)
class StretchedCorrelation(Correlation):
    """`lag`: of the first piece that was found. `stretch`: samples by which the last one is later than that."""

    stretch: int


def correlate(reference: bytes, heard: bytes) -> Correlation:
    """The peak of the normalized cross-correlation of two mono int16 PCM signals of one rate.

    For every lag the product sum is divided by the energies of the two parts that overlap there, so that
    delay, loudness, leading silence and different lengths do not matter. Only lags with enough overlap count
    (`LEAST_OVERLAP`, `LEAST_ENERGY`). Polarity does not matter, as it does not to an ear. Silence, or no sound
    at all, gives 0. It takes about 0.1 s for 4 s of sound: on an event loop, call it in a thread.

    Raises `InvalidInput` for bytes that are no int16 samples, missing_extra without numpy.
    """
    with needs_extra("correlate()"):
        import numpy as np
    first, second = _samples(reference), _samples(heard)
    if not first.any() or not second.any():
        return Correlation(0.0, 0)

    # products[k] is the sum of first[n] * second[n + lag] with lag = k - (len(first) - 1).
    size = len(first) + len(second) - 1
    length = 1 << (size - 1).bit_length()
    spectrum = np.fft.rfft(second, length) * np.fft.rfft(first[::-1], length)
    products = np.fft.irfft(spectrum, length)[:size]

    lags = np.arange(size) - (len(first) - 1)
    first_from, first_to = np.maximum(0, -lags), np.minimum(len(first), len(second) - lags)
    energy_1 = _energy(first, first_from, first_to)
    energy_2 = _energy(second, first_from + lags, first_to + lags)
    counts = (
        (first_to - first_from >= LEAST_OVERLAP * min(len(first), len(second)))
        & (energy_1 >= LEAST_ENERGY * energy_1.max())
        & (energy_2 >= LEAST_ENERGY * energy_2.max())
    )
    if not counts.any():
        return Correlation(0.0, 0)
    likeness = np.zeros(size)
    likeness[counts] = np.abs(products[counts]) / np.sqrt(energy_1[counts] * energy_2[counts])
    best = int(likeness.argmax())
    return Correlation(min(1.0, float(likeness[best])), int(lags[best]))


def correlate_pieces(reference: bytes, heard: bytes, *, size: int, slack: int) -> StretchedCorrelation:
    """As `correlate`, but each piece of `size` samples may lie up to `slack` samples off the place of the whole.

    A receiver on a network that is late now and then stretches the sound and goes on: everybody hears every word, and
    no one lag fits all of it. The peak is the mean of the pieces' peaks by their energy in the reference; a rest that
    is shorter than a piece belongs to the last one. Raises as `correlate`.
    """
    whole = correlate(reference, heard)
    length = len(reference) // BYTES_PER_SAMPLE
    energies = total = 0.0
    lags: list[int] = []
    for start in range(0, max(1, length - size + 1), size):
        stop = start + size if start + 2 * size <= length else length
        piece = _cut(reference, start, stop)
        begin = max(0, start + whole.lag - slack)
        found = correlate(piece, _cut(heard, begin, max(0, stop + whole.lag + slack)))
        energy = float((_samples(piece) ** 2).sum())
        energies += energy
        total += energy * found.peak
        if found.peak >= PLACED:
            lags.append(found.lag + begin - start)
    if not lags:
        return StretchedCorrelation(total / energies if energies else 0.0, whole.lag, 0)
    return StretchedCorrelation(total / energies, lags[0], lags[-1] - lags[0])


def _cut(pcm: bytes, start: int, stop: int) -> bytes:
    return pcm[start * BYTES_PER_SAMPLE : stop * BYTES_PER_SAMPLE]


def _samples(pcm: object) -> npt.NDArray[np.float64]:
    import numpy as np

    if not isinstance(pcm, bytes | bytearray | memoryview) or len(pcm) % BYTES_PER_SAMPLE:
        raise InvalidInput("correlate() takes mono int16 PCM: bytes, two for each sample")
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    # A constant offset is inaudible, and would make any two signals alike.
    return samples - samples.mean() if len(samples) else samples


def _energy(
    signal: npt.NDArray[np.float64], start: npt.NDArray[Any], stop: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Energies of signal[start:stop], for arrays of starts and stops."""
    import numpy as np

    sums = np.concatenate(([0.0], np.cumsum(signal**2)))
    energies: npt.NDArray[np.float64] = sums[stop] - sums[start]
    return energies
