// SPDX-License-Identifier: Apache-2.0
// Marks what the shared library shows; everything else in it is hidden.
#pragma once

#define TRIVIUM_EXPORT __attribute__((visibility("default")))
