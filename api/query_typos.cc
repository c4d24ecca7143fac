// SPDX-License-Identifier: Apache-2.0
#include "api/query_typos.h"

#include <utility>
#include <vector>

#include "base/random.h"

namespace trivium {
namespace {

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (const char byte : text) {
    const bool continues = (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
    if (!continues || characters.empty()) characters.emplace_back();
    characters.back() += byte;
  }
  return characters;
}

void Edit(std::vector<std::string>* characters, base::Random* random) {
  const auto position = static_cast<std::ptrdiff_t>(random->Below(characters->size()));
  const auto here = characters->begin() + position;
  switch (random->Below(4)) {
    case 0:
      if (here + 1 != characters->end() && *here != *(here + 1)) {
        std::swap(*here, *(here + 1));
        return;
      }
      break;
    case 1:
      if (characters->size() > 1) {
        characters->erase(here);
        return;
      }
      break;
    case 2:
      characters->insert(here, std::string(*here));
      return;
    default:
      break;
  }
  std::string letter(1, static_cast<char>('a' + random->Below(26)));
  if (letter == *here) letter[0] = letter[0] == 'z' ? 'a' : static_cast<char>(letter[0] + 1);
  *here = std::move(letter);
}

}  // namespace

std::string WithTypos(std::string_view text, std::size_t edits, std::uint64_t seed) {
  std::vector<std::string> characters = Characters(text);
  base::Random random(seed);
  for (std::size_t i = 0; i < edits && !characters.empty(); ++i) Edit(&characters, &random);
  std::string edited;
  for (const std::string& character : characters) edited += character;
  return edited;
}

}  // namespace trivium
