// SPDX-License-Identifier: Apache-2.0
// Which document a number stands for, in memory: the partition and id of every live document.
//
// A persistent value: copying is cheap (chunks are shared), a change copies only the chunks it touches, so
// readers keep the version they began with. About 40 bytes a document plus ids over 15 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trivium {

class DocumentDirectory {
 public:
  struct Entry {
    std::uint32_t partition = 0;  // 0: no such document (partitions count from 1)
    std::string id;
  };

  // Null where the document does not exist (any more). Valid while this version lives.
  const Entry* Find(std::uint64_t number) const {
    const std::size_t chunk = number / kChunkSize;
    if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
    const Entry& entry = chunks_[chunk]->entries[number % kChunkSize];
    return entry.partition == 0 ? nullptr : &entry;
  }

  std::uint64_t live_count() const { return live_count_; }
  std::uint64_t number_bound() const { return chunks_.size() * kChunkSize; }  // every number is below it

  void Add(std::uint64_t number, std::uint32_t partition, std::string_view id) {
    Chunk* chunk = Own(number / kChunkSize);
    chunk->entries[number % kChunkSize] = {partition, std::string(id)};
    ++chunk->live;
    ++live_count_;
  }

  // REQUIRES: the document exists.
  void Remove(std::uint64_t number) {
    Chunk* chunk = Own(number / kChunkSize);
    chunk->entries[number % kChunkSize] = {};
    --live_count_;
    if (--chunk->live == 0) chunks_[number / kChunkSize].reset();
  }

  // Calls visit(number, entry) for every live document in increasing order.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (std::size_t c = 0; c < chunks_.size(); ++c) {
      if (chunks_[c] == nullptr) continue;
      for (std::size_t i = 0; i < kChunkSize; ++i) {
        const Entry& entry = chunks_[c]->entries[i];
        if (entry.partition != 0) visit(c * kChunkSize + i, entry);
      }
    }
  }

  // Call on a fresh copy: from now on changes copy the chunks that they touch.
  void BeginChange() { owned_.clear(); }

 private:
  static constexpr std::size_t kChunkSize = 1024;
  struct Chunk {
    std::vector<Entry> entries = std::vector<Entry>(kChunkSize);
    std::size_t live = 0;
  };

  // The chunk, made or copied so that this version alone holds it.
  Chunk* Own(std::size_t index) {
    if (index >= chunks_.size()) chunks_.resize(index + 1);
    if (index >= owned_.size()) owned_.resize(index + 1, false);
    if (!owned_[index] || chunks_[index] == nullptr) {
      chunks_[index] = chunks_[index] ? std::make_shared<Chunk>(*chunks_[index]) : std::make_shared<Chunk>();
      owned_[index] = true;
    }
    return chunks_[index].get();
  }

  std::vector<std::shared_ptr<Chunk>> chunks_;
  std::vector<bool> owned_;  // chunks made since BeginChange
  std::uint64_t live_count_ = 0;
};

}  // namespace trivium
