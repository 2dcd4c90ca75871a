"""Decodes containers of every learned method with Python alone, written from docs/wire-format.md alone."""

import struct
import zlib
from bisect import bisect_left, bisect_right
from itertools import accumulate, count, pairwise, product


def unpack(data):
    """Return version, shape and streams of a container."""
    assert data[:5] in (b"\x89SC2\x01", b"\x89SC2\x02"), "not a container of version 1 or 2"
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "damaged"
    (integers, streams), at = varints(data, 13, 2)
    numbers, at = varints(data, at, integers + streams)
    ends = list(accumulate(numbers[integers:], initial=at))
    assert ends[-1] == len(data) - 4, "not as long as announced"
    return data[4], numbers[:integers], [data[start:end] for start, end in pairwise(ends)]


def varints(data, at, number):
    """Return so many whole numbers, and where the next one begins."""
    numbers = list[int]()
    for _ in range(number):
        start, at = at, next(end for end in range(at + 1, at + 6) if data[end - 1] < 0x80)
        numbers.append(sum((byte & 0x7F) << 7 * n for n, byte in enumerate(data[start:at])))
    return numbers, at


def unpack_packet(hello, number, packet):
    """Return version, shape and streams of the packet of a number in the session that a hello began."""
    assert hello[:5] == b"\x89SCH\x01", "not the hello of a session"
    assert zlib.crc32(hello[:-4]) == int.from_bytes(hello[-4:], "little"), "damaged"
    register = 0xFFFF
    for byte in hello + number.to_bytes(8, "little") + packet[:-2]:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (0x1021 if register & 0x8000 else 0)) & 0xFFFF
    assert register == int.from_bytes(packet[-2:], "little"), "damaged, or of another session or number"
    assert packet[0] & 0x7F == number % 128, "of another number"
    (integers, streams), at = varints(hello, 18, 2)
    shape, _ = varints(hello, at, integers)
    own, at = varints(packet, 1, integers if packet[0] & 0x80 else 0)
    lengths, at = varints(packet, at, max(0, streams - 1))
    ends = list(accumulate(lengths, initial=at)) + [len(packet) - 2] * (streams > 0)
    return hello[5], own or shape, [packet[start:end] for start, end in pairwise(ends)]


def unpack_session(data):
    """Return version, shape and streams of every packet of a session file."""
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "damaged"
    messages = list[bytes]()
    [length], at = varints(data, 0, 1)
    while length:
        messages.append(data[at : at + length])
        [length], at = varints(data, at + length, 1)
    hello, *packets = messages
    assert varints(data, at, 1) == ([len(packets)], len(data) - 4), "packets are missing, or bytes follow"
    return [unpack_packet(hello, number, packet) for number, packet in enumerate(packets)]


class RangeDecoder:
    """Reads a stream, each time an interval of 2^24 parts."""

    def __init__(self, stream):
        self.stream, self.read = stream, 0
        self.range, self.offset = 2**64 - 1, self.word() << 32 | self.word()

    def word(self):
        self.read += 4
        return int.from_bytes(self.stream[self.read - 4 : self.read].ljust(4, b"\0"), "big")

    def entry(self, bounds):
        scale = self.range >> 24
        assert self.offset // scale < 2**24, "no encoder wrote this"
        found = bisect_right(bounds, self.offset // scale) - 1
        self.offset -= scale * bounds[found]
        self.range = scale * (bounds[found + 1] - bounds[found])
        if self.range < 2**32:
            self.range, self.offset = self.range << 32, self.offset << 32 | self.word()
        return found

    def number(self, bits):
        return self.entry([value << (24 - bits) for value in range(2**bits + 1)])

    def escaped(self, version):
        length = self.number(5)
        sent = length if version == 1 else max(0, length - 1)
        rest = sum(self.number(min(16, sent - shift)) << shift for shift in range(0, sent, 16))
        return rest + (sent < length) * 2**sent

    def take(self, tables, indexes, version):
        """Return the symbols whose tables are `indexes`: table by table, then what the escapes stand for."""
        symbols, escaped = [0] * len(indexes), []
        for index in sorted(set(indexes)):
            start, counts = tables[index]["offset"], tables[index]["cdf"]
            entries = len(counts) - 1
            bounds = [count * (2**24 - entries) // 2**16 + at for at, count in enumerate(counts)]
            for position in [at for at, table in enumerate(indexes) if table == index]:
                symbols[position] = start + self.entry(bounds)
                if symbols[position] == start + entries - 1:
                    escaped.append((position, start, entries - 1))
        for position, start, escape in escaped:
            value = self.escaped(version)
            symbols[position] = start + (-(value + 1) // 2 if value % 2 else escape + value // 2)
        return symbols

    def finish(self, version):
        assert self.stream, "empty"
        stream = b"" if self.stream == b"\0" else self.stream
        zeros = self.read - len(stream)
        assert zeros >= 0, "longer than its symbols need"
        assert self.offset < (2**33 - 1 if version == 1 else 256**zeros), "not the first of its length"
        if version == 2 and stream:
            shorter = (256 - stream[-1]) * 256**zeros
            assert stream[-1] > 0, "a zero at the end"
            assert self.offset + shorter >= self.range, "longer than its symbols need"


def factorized(ranges, tables, size, version):
    """Return the next symbols, of one table per channel, by channel, row, column."""
    order = list(product(range(len(tables)), range(size[0]), range(size[1])))
    return dict(zip(order, ranges.take(tables, [at[0] for at in order], version), strict=True))


def neighbours(ranges, tables, low, size, version):
    """Return the next symbols, under tables that the symbols above and to the left choose."""
    symbols = dict[tuple[int, ...], int]()
    for step in range(sum(size) - 1):
        rows = [row for row in range(size[0]) if 0 <= step - row < size[1]]
        order = [(channel, row, step - row) for channel in range(len(tables) // 9) for row in rows]
        around = [(c, symbols.get((c, r - 1, k), 0), symbols.get((c, r, k - 1), 0)) for c, r, k in order]
        levels = [(c, *(max(0, min(2, value - low)) for value in values)) for c, *values in around]
        indexes = [9 * channel + 3 * above + left for channel, above, left in levels]
        symbols |= dict(zip(order, ranges.take(tables, indexes, version), strict=True))
    return {at: symbols[at] for at in sorted(symbols)}


def size_after(layers, size):
    """Return height and width of the output of layers for an input of a size."""
    for layer in layers:
        if layer["kind"] != "leaky_relu":
            weight, out, back = layer["weight"], [], layer["kind"] == "conv_transpose"
            for axis, kernel in enumerate((len(weight[0][0]), len(weight[0][0][0]))):
                extent = layer["dilation"][axis] * (kernel - 1) + 1 - 2 * layer["padding"][axis]
                step, side = layer["stride"][axis], size[axis]
                more = (side - 1) * step + extent + layer["output_padding"][axis] if back else 0
                out.append(more or (side - extent) // step + 1)
            size = out
    return size


def run(layers, x, size):
    """Return the output of a network for x[channel, row, column] of a size."""
    for layer in layers:
        x = {at: max(-(2**24), min(2**24, value)) for at, value in x.items()}
        if layer["kind"] == "leaky_relu":
            x = {at: value * layer["slope"] >> 16 if value < 0 else value for at, value in x.items()}
        else:
            size, shift = size_after([layer], size), layer["shift"]
            sums = convolved(layer, {at: max(-layer["limit"], min(layer["limit"], v)) for at, v in x.items()}, size)
            x = {at: (value + (1 << shift >> 1)) >> shift for at, value in sums.items()}
    return {at: max(-(2**24), min(2**24, value)) for at, value in x.items()}


def convolved(layer, x, size):
    weight, (sy, sx), (py, px), (dy, dx) = (layer[name] for name in ("weight", "stride", "padding", "dilation"))
    sums = {(o, *at): bias for o, bias in enumerate(layer["bias"]) for at in product(*map(range, size))}
    outputs, inputs = len(layer["bias"]) // layer["groups"], (max(x)[0] + 1) // layer["groups"]
    taps = product(range(outputs), range(len(weight[0][0])), range(len(weight[0][0][0])))
    for ((i, row, column), value), (j, a, b) in product(x.items(), taps):
        o = i // inputs * outputs + j
        if layer["kind"] == "conv_transpose":
            at, factor = (o, row * sy - py + a * dy, column * sx - px + b * dx), weight[i][j][a][b]
        else:  # the output whose kernel, at this tap, lies on the input, where there is one
            (r, above), (c, left) = divmod(row + py - a * dy, sy), divmod(column + px - b * dx, sx)
            at, factor = (o, -1 if above else r, -1 if left else c), weight[o][i % inputs][a][b]
        if at in sums:
            sums[at] += factor * value
    return sums


def parameters(model, y, at, side):
    """Return scales and means at a position of y: of h_s, or with a context model of that and the values before."""
    if "context" not in model:
        return side
    around = product(range(model["channels"]), range(3), range(5))
    known = {(c, r, k): y.get((c, at[0] + r - 2, at[1] + k - 2), 0) for c, r, k in around}
    both = [*side, *run(model["context"], known, (3, 5)).values()]
    return list(run(model["parameters"], {(c, 0, 0): v for c, v in enumerate(both)}, (1, 1)).values())


def decode(container, model):
    """Return the whole numbers of a payload: symbols, or y in units of 2^-12, by channel, row, column."""
    version, shape, streams = unpack(container)
    if model["coder"] == "affine":
        return [*struct.unpack_from("<fB", streams[0]), *streams[0][5:]]
    size = [4 * -(-side // 64) for side in shape] if model["shape"] == "image" else shape[-2:]
    readers = [RangeDecoder(stream) for stream in streams]
    if model["coder"] == "factorized":
        tables = model["tables"]
        if model["shape"] == "rate and latent":
            tables = tables[shape[0] * model["channels"] : (shape[0] + 1) * model["channels"]]
        symbols = (
            neighbours(readers[0], tables, model["low"], size, version)
            if "low" in model
            else factorized(readers[0], tables, size, version)
        )
        readers[0].finish(version)
        return list(symbols.values())
    z_size = [
        next(n for n in count(1) if size_after(model["synthesis"], (n, n))[axis] >= size[axis]) for axis in (0, 1)
    ]
    symbols = factorized(readers[-1], model["z"], z_size, version)
    z = {at: 4096 * symbol + model["shift"][at[0]] for at, symbol in symbols.items()}
    side, channels = run(model["synthesis"], z, z_size), model["channels"]
    y = dict[tuple[int, ...], int]()
    step_of = {at: 3 * at[0] + at[1] if "context" in model else 0 for at in product(*map(range, size))}
    for step in sorted(set(step_of.values())):
        here = [at for at in step_of if step_of[at] == step]
        of = {at: parameters(model, y, at, [side.get((c, *at), 0) for c in range(2 * channels)]) for at in here}
        order = [(c, *at) for c in range(channels) for at in here]
        indexes = [bisect_left(model["thresholds"], of[at[1:]][at[0]]) for at in order]
        symbols = readers[0].take(model["y"], indexes, version)
        y |= {at: 4096 * v + of[at[1:]][channels + at[0]] for at, v in zip(order, symbols, strict=True)}
    for reader in readers:
        reader.finish(version)
    return [y[at] for at in sorted(y)]
