"use strict";
// The channel's formula, as sc2/measure/channel.py has it, for the channel that the sliders set:
// device · slower + 8 · bytes / rate + round trip + server; what answers on the device waits for no link.
(() => {
  const BITS = 8;

  /** The bytes of all images in rising order, and how many images have at most each: from steps and counts. */
  function unpacked([steps, counts]) {
    let size = 0,
      images = 0;
    const values = steps.map((step) => (size += step));
    const upTo = counts.map((count) => (images += count));
    const total = values.reduce((sum, value, i) => sum + value * counts[i], 0);
    return { values, upTo, images, mean: total / images };
  }

  /** The size at a place among all images (0 is the smallest). */
  function at(sizes, place) {
    let low = 0,
      high = sizes.upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sizes.upTo[middle] > place) high = middle;
      else low = middle + 1;
    }
    return sizes.values[low];
  }

  /** A percentile, interpolated between the two nearest values. */
  function percentile(sizes, percent) {
    const place = (percent / 100) * (sizes.images - 1),
      below = Math.floor(place);
    const value = at(sizes, below),
      above = at(sizes, Math.min(below + 1, sizes.images - 1));
    return value + (place - below) * (above - value);
  }

  const fixed = (point, channel) => {
    const device = point.times.device[0] * channel.slow;
    return point.times.local ? device : device + channel.rtt + point.times.server[0];
  };
  const link = (point, bytes, channel) => (point.times.local ? 0 : (bytes * BITS) / channel.rate);

  /** Latency (ms): the mean, or a percentile over the images. */
  function latency(point, channel, stat = "mean") {
    const bytes = stat === "mean" ? point.images.mean : percentile(point.images, Number(stat));
    return fixed(point, channel) + link(point, bytes, channel);
  }

  /** Share of images whose answer comes after a deadline (%). */
  function missed(point, channel, deadline) {
    const left = deadline - fixed(point, channel);
    if (point.times.local) return left < 0 ? 100 : 0;
    const { values, upTo, images } = point.images;
    // An image is late if its own transmission takes longer; compared as the table does, sum against deadline.
    let low = 0,
      high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fixed(point, channel) + link(point, values[middle], channel) > deadline) high = middle;
      else low = middle + 1;
    }
    return 100 * (1 - (low ? upTo[low - 1] : 0) / images);
  }

  /** The rate (kbit/s) below which the point with fewer bytes is the faster one on average, and which one that is. */
  function breakEven(one, other, channel) {
    const waits = (point) => (point.times.local ? 0 : point.images.mean);
    const key = (point) => [waits(point), fixed(point, channel)];
    const first = key(one)[0] - key(other)[0] || key(one)[1] - key(other)[1];
    const [fewer, more] = first <= 0 ? [one, other] : [other, one];
    const saved = waits(more) - waits(fewer),
      costs = fixed(fewer, channel) - fixed(more, channel);
    return { fewer, more, rate: costs <= 0 ? Infinity : (saved * BITS) / costs };
  }

  window.sc2 = { ...window.sc2, unpacked, percentile, latency, missed, breakEven };
})();
