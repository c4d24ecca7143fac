// SPDX-License-Identifier: Apache-2.0
// Routing a query allocates nothing once its buffers have grown.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "gtest/gtest.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/query_guard.h"
#include "routing/expert/result_fusion.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace {

std::atomic<long> allocation_count{0};

void* Allocate(std::size_t size) {
  ++allocation_count;
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace trivium::routing {
namespace {

TEST(Dispatch, AllocatesNothingAfterTheFirstQueries) {
  constexpr std::size_t kExpertCount = 6;
  testing_support::ClusteredQueries source(48, kExpertCount, 1.0, 2);
  const PilotSet pilots = source.Pilots(1500);
  const ExpertFacts facts = testing_support::FactsOf(pilots);
  std::vector<std::vector<float>> queries;
  for (std::size_t i = 0; i < 200; ++i) queries.push_back(source.Draw(i % kExpertCount));
  for (std::string_view name : RouterNames()) {
    for (std::size_t graph_threshold : {1, 1'000'000}) {
      std::unique_ptr<ExpertRouter> router = *MakeRouter(name);
      ASSERT_OK(TrainRouter(pilots, &facts, {.neighbor_count = 60, .graph_threshold = graph_threshold},
                            router.get()));
      RouterScratch scratch;
      Dispatch dispatch;
      std::vector<float> utility(kExpertCount), uncertainty(kExpertCount);
      const auto route = [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) {
          router->Predict(queries[i], &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
          ChooseExperts(utility, uncertainty, {}, nullptr, DispatchOptions(), &dispatch);
        }
      };
      route(0, 100);
      const long before = allocation_count;
      EXPECT_GT(before, 0);  // the counter works
      route(100, 200);
      EXPECT_EQ(allocation_count - before, 0) << name << " " << graph_threshold;
    }
  }
}

TEST(QueryGuard, AllocatesNothingAfterTheFirstQueries) {
  testing_support::ClusteredQueries source(48, 6, 1.0, 2), others(48, 6, 1.0, 3);
  const PilotSet pilots = source.Pilots(1500), background = others.Pilots(200);
  for (std::size_t graph_threshold : {1, 1'000'000}) {
    QueryGuard guard;
    ASSERT_OK(guard.Build(pilots.vectors(), background.vectors(), graph_threshold));
    RouterScratch scratch;
    double sum = 0;
    for (std::size_t i = 0; i < 100; ++i) sum += guard.Score(pilots.pilot(i).vector, &scratch);
    const long before = allocation_count;
    for (std::size_t i = 100; i < 200; ++i) sum += guard.Score(pilots.pilot(i).vector, &scratch);
    EXPECT_EQ(allocation_count - before, 0) << graph_threshold;
    EXPECT_EQ(sum, 100);  // no model: even odds
  }
}

TEST(FuseResults, AllocatesNothingAfterTheFirstQuery) {
  const std::vector<ScoredDocument> a = {{1, 0.9f}, {2, 0.5f}}, b = {{2, 0.7f}, {3, 0.5f}};
  std::vector<ExpertResult> results(2);
  results[0].hits = a;
  results[1].hits = b;
  results[1].space = 1;
  FusionScratch scratch;
  std::vector<FusedHit> fused;
  FuseResults(results, 10, FusionMethod::kAuto, &scratch, &fused);
  const long before = allocation_count;
  FuseResults(results, 10, FusionMethod::kAuto, &scratch, &fused);
  FuseResults(results, 10, FusionMethod::kScore, &scratch, &fused);
  EXPECT_EQ(allocation_count - before, 0);
}

}  // namespace
}  // namespace trivium::routing
