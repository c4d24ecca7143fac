// SPDX-License-Identifier: Apache-2.0
// What chosen experts search in their vector sets: collected for one query or several, then run set by set,
// so that the searches of one set may take turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "api/query_reader.h"
#include "api/query_vectors.h"
#include "api/search_scope.h"
#include "api/store_state.h"
#include "base/aligned_matrix.h"
#include "index/search_index.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"

namespace trivium {

// What one expert found.
struct ExpertList {
  std::uint32_t expert = 0;  // index into StoreState::experts
  std::vector<routing::ScoredDocument> hits;
  index::SearchCounters counters;  // of its own searches; a search shared by two experts counts for the first
  std::vector<std::pair<std::uint32_t, std::uint64_t>> by_set;  // set searched, distances
  std::uint32_t vector_sets = 0;                                // it was the first to search
  std::uint32_t searches = 0;                                   // it made: one a vector set and adapter
};

// How the options want a vector set searched for `depth` hits.
index::SearchParameters ParametersFor(const VectorSet& set, std::size_t depth, const StoreState& state,
                                      const SearchOptions& options);

// Of one thread, for one Run.
class ExpertSearches {
 public:
  // What is given is borrowed.
  //   scope        sets outside of it are not searched, whoever is asked
  //   filter       null, or prepared for all vector sets in scope
  //   query_count  how many queries will be added: room is made for them
  ExpertSearches(const StoreState& state, const SearchOptions& options, const QueryReader& reader,
                 const SearchScope& scope, const RowFilter* filter, std::size_t query_count)
      : state_(state),
        options_(options),
        reader_(reader),
        scope_(scope),
        filter_(filter),
        query_count_(query_count) {}

  // Adds one query's searches: of each of the `chosen` experts (indexes into StoreState::experts), `depth`
  // hits; `plain`: without the experts' adapters, and every vector set only once; `readings`: what to ask
  // instead of the query, and of adapters, in their spaces. A lexical expert finds nothing where the query
  // has no text, or, if `plain`, where another one of those chosen searches its texts, too. Overwrites
  // `lists` with one per chosen expert, whose hits and counters Run fills in: they must stay where they are
  // until then. kInvalidArgument and what the encoder says where a vector is missing; kCancelled,
  // kDeadlineExceeded.
  absl::Status Add(absl::Span<const std::uint32_t> chosen, bool plain, const QueryReadings& readings,
                   std::size_t depth, QueryVectors* query, std::vector<ExpertList>* lists);

  // kCancelled, kDeadlineExceeded: seen between vector sets.
  absl::Status Run(VectorSetScratch* scratch);

 private:
  // Searches of one vector set for equally many hits.
  struct Group {
    base::AlignedMatrix queries;
    std::vector<std::vector<routing::ScoredDocument>> found;
    std::vector<index::SearchCounters> counters;
  };
  struct GroupKey {
    std::uint32_t set = 0;
    std::size_t depth = 0;
    auto operator<=>(const GroupKey&) const = default;
  };
  struct Search {
    Group* group = nullptr;
    std::size_t row = 0;
  };
  // A list that gets the hits of a search.
  struct Use {
    ExpertList* list = nullptr;
    Search search;
    std::uint32_t set = 0;
    bool pays = false;  // the search counts for this list
  };

  // Of a lexical expert, in all its text sets at once.
  struct TextSearch {
    ExpertList* list = nullptr;
    const ExpertView* expert = nullptr;
    const std::string* text = nullptr;
    std::size_t depth = 0;
  };

  absl::Status CheckStop() const;
  // kFailedPrecondition, kInvalidArgument: the index asked for is a tree that the space has not, or not so
  // deep.
  absl::Status CheckTree(std::uint32_t space) const;
  void RunTextSearch(const TextSearch& search, VectorSetScratch* scratch) const;
  Search AddSearch(std::uint32_t set, std::size_t depth, const float* query);
  void RunGroup(const GroupKey& key, VectorSetScratch* scratch, Group* group) const;

  const StoreState& state_;
  const SearchOptions& options_;
  const QueryReader& reader_;
  const SearchScope& scope_;
  const RowFilter* filter_;
  std::size_t query_count_;
  std::map<GroupKey, Group> groups_;
  std::vector<Use> uses_;
  std::vector<TextSearch> text_searches_;
  std::vector<std::pair<ExpertList*, std::size_t>> merged_;  // lists from several sets, with their depths
  std::vector<float> adapted_;
};

}  // namespace trivium
