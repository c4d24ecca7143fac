// SPDX-License-Identifier: Apache-2.0
// Draws training items so that a small set is heard as often as a large one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/random.h"

namespace trivium::routing {

// Every draw picks a set, each equally likely, and gives its next item; a set is dealt out whole, in a new
// random order each time, before one of its items comes again.
class BalancedSampler {
 public:
  // At least one set; none is empty.
  BalancedSampler(std::vector<std::vector<std::uint32_t>> sets, std::uint64_t seed) : random_(seed) {
    for (std::vector<std::uint32_t>& items : sets) {
      const std::size_t dealt = items.size();  // so that the first draw shuffles
      decks_.push_back({std::move(items), dealt});
    }
  }

  std::uint32_t Next() {
    Deck& deck = decks_[random_.Below(decks_.size())];
    if (deck.dealt == deck.items.size()) {
      random_.Shuffle(deck.items);
      deck.dealt = 0;
    }
    return deck.items[deck.dealt++];
  }

 private:
  struct Deck {
    std::vector<std::uint32_t> items;
    std::size_t dealt = 0;
  };

  base::Random random_;
  std::vector<Deck> decks_;
};

}  // namespace trivium::routing
