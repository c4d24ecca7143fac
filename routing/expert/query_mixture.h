// SPDX-License-Identifier: Apache-2.0
// One query out of several readings of it, so that experts need not be chosen to be heard.
#pragma once

namespace trivium::routing {

// reading = own * sum_e p_e * (as expert e reads it)
//         + (1 - own) * (plain * (as it is) + (1 - plain) * (as all domains read it)), made a unit vector.
// p_e: the route's probabilities. The second line draws what was learned from few queries, or for an expert
// that was not meant, back to what is safe for everybody.
struct QueryMixture {
  float own = 0;    // [0, 1]
  float plain = 0;  // [0, 1]
};

}  // namespace trivium::routing
