#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A text encoder without a model: a text's vector is the sum of its words' pseudo-random vectors.

Speaks the pipe protocol of the command-line tool, and can misbehave in every way that a test needs. Standard
library only. `embed` is also what tests use to make vectors that agree with it.
"""

import argparse
import hashlib
import json
import math
import re
import struct
import sys

DIMENSION = 16


def _word_vector(word, dimension):
    digest = hashlib.shake_128(word.encode()).digest(2 * dimension)
    return [value / 32768 - 1 for value in struct.unpack(f"<{dimension}H", digest)]


def embed(text, dimension=DIMENSION):
    """Returns `dimension` floats of length 1; texts that share words are close."""
    total = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or ["(empty)"]:
        for i, value in enumerate(_word_vector(word, dimension)):
            total[i] += value
    length = math.sqrt(sum(value * value for value in total))
    return [value / length for value in total]


def _frame(vector):
    return struct.pack(f"<I{len(vector)}f", len(vector), *vector)


def _error_frame(message):
    data = message.encode()
    return struct.pack("<II", 0, len(data)) + data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dimension", type=int, default=DIMENSION)
    parser.add_argument("--log", help="append each request to this file")
    parser.add_argument("--fail-on", help="answer texts that hold this with an error")
    parser.add_argument("--nan-on", help="answer texts that hold this with NaN")
    parser.add_argument(
        "--wrong-dimension-on", help="answer texts that hold this with one component too many"
    )
    parser.add_argument("--exit-on", help="end with code 3 at texts that hold this")
    parser.add_argument("--garbage", action="store_true", help="print text instead of frames")
    parser.add_argument("--noise", action="store_true", help="fill stderr while at it")
    options = parser.parse_args()

    def holds(text, what):
        return what is not None and what in text

    output = sys.stdout.buffer
    if options.noise:
        print("noise\n" * 100_000, file=sys.stderr)
    for line in sys.stdin:
        request = json.loads(line)
        text = request["text"]
        if options.log:
            with open(options.log, "a", encoding="utf-8") as log:
                log.write(line)
        if options.garbage:
            output.write(b"Hello, this is no frame.\n" * 10)
        elif holds(text, options.exit_on):
            print("Traceback: noise of the encoder", file=sys.stderr)
            print("the model burst", file=sys.stderr)
            output.flush()
            return 3
        elif holds(text, options.fail_on):
            output.write(_error_frame("this text is\nunspeakable"))
        elif holds(text, options.nan_on):
            output.write(_frame([math.nan] * options.dimension))
        elif holds(text, options.wrong_dimension_on):
            output.write(_frame([1.0] * (options.dimension + 1)))
        else:
            output.write(_frame(embed(text, options.dimension)))
        output.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
