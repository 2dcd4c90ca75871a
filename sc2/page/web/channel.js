"use strict";
// The channel's formula, as sc2/measure/channel.py has it, for the channel that the sliders set:
// device · slower + 8 · bytes / rate + round trip + server; what answers on the device waits for no link. Device and
// server may take longer for an image with more bytes.
(() => {
  const BITS = 8,
    US_PER_MS = 1000;

  /** The bytes of all images in rising order, and how many images have at most each: from steps and counts. Images
   * below the least size take the time of that one; `counted` is the mean of what counts for the time. */
  function unpacked([steps, counts], least = 0) {
    let size = 0,
      images = 0;
    const values = steps.map((step) => (size += step));
    const upTo = counts.map((count) => (images += count));
    const mean = (value) => values.reduce((sum, size, i) => sum + value(size) * counts[i], 0) / images;
    return { values, upTo, images, least, mean: mean((size) => size), counted: mean((size) => Math.max(size, least)) };
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

  /** A percentile of what rises with the size, interpolated between the two nearest values. */
  function percentile(sizes, percent, of = (size) => size) {
    const place = (percent / 100) * (sizes.images - 1),
      below = Math.floor(place);
    const value = of(at(sizes, below)),
      above = of(at(sizes, Math.min(below + 1, sizes.images - 1)));
    return value + (place - below) * (above - value);
  }

  // What does not depend on the rate, on average.
  const fixed = (point, channel) => {
    const device = point.times.device[0] * channel.slow;
    return point.times.local ? device : device + channel.rtt + point.times.server[0];
  };
  const link = (point, bytes, channel) => (point.times.local ? 0 : (bytes * BITS) / channel.rate);

  /** How much longer than on average device and server take for an image of so many bytes (ms). */
  function longer(point, bytes, channel) {
    const [device, server] = point.times.perByte;
    const slope = device * channel.slow + (point.times.local ? 0 : server);
    return (slope / US_PER_MS) * (Math.max(bytes, point.images.least) - point.images.counted);
  }

  /** Latency of an image of so many bytes (ms). */
  const taken = (point, bytes, channel) =>
    fixed(point, channel) + longer(point, bytes, channel) + link(point, bytes, channel);

  /** Latency (ms): the mean, or a percentile over the images. */
  function latency(point, channel, stat = "mean") {
    if (stat === "mean") return fixed(point, channel) + link(point, point.images.mean, channel);
    return percentile(point.images, Number(stat), (bytes) => taken(point, bytes, channel));
  }

  /** Share of images whose answer comes after a deadline (%). */
  function missed(point, channel, deadline) {
    const { values, upTo, images } = point.images;
    // More bytes never take less time; compared as the table does, sum against deadline.
    let low = 0,
      high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (taken(point, values[middle], channel) > deadline) high = middle;
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
