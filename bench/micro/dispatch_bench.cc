// SPDX-License-Identifier: Apache-2.0
// What dispatch adds to a query: predict utilities, then choose.
//   route/ROUTER/N/E   N pilots of 384 dimensions, E experts. Issue 3 allows 0.15 ms at 2,000 and 0.5 ms at
//   20,000 with 17
// Run: trivium_bench_dispatch --benchmark_filter=knn_utility
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kDimension = 384;
constexpr std::size_t kQueryCount = 512;

void Route(benchmark::State& state, std::string_view name) {
  const auto expert_count = static_cast<std::size_t>(state.range(1));
  testing_support::ClusteredQueries source(kDimension, expert_count, /*noise=*/1.0, /*seed=*/1);
  const PilotSet pilots = source.Pilots(static_cast<std::size_t>(state.range(0)));
  const ExpertFacts facts = testing_support::FactsOf(pilots);
  std::vector<std::vector<float>> queries;
  for (std::size_t i = 0; i < kQueryCount; ++i) queries.push_back(source.Draw(i % expert_count));
  absl::StatusOr<std::unique_ptr<ExpertRouter>> router = MakeRouter(name);
  if (!router.ok() || !TrainRouter(pilots, &facts, RouterOptions(), router->get()).ok()) {
    state.SkipWithError("training failed");
    return;
  }
  RouterScratch scratch;
  Dispatch dispatch;
  std::vector<float> utility(expert_count);
  std::vector<float> uncertainty(expert_count);
  std::size_t next = 0;
  for (auto _ : state) {
    (*router)->Predict(queries[next++ % kQueryCount], &scratch, absl::MakeSpan(utility),
                       absl::MakeSpan(uncertainty));
    ChooseExperts(utility, uncertainty, {}, nullptr, DispatchOptions(), &dispatch);
    benchmark::DoNotOptimize(dispatch.chosen.data());
  }
}

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  for (std::string_view name : trivium::routing::RouterNames()) {
    benchmark::RegisterBenchmark(("route/" + std::string(name)).c_str(),
                                 [name](benchmark::State& state) { trivium::routing::Route(state, name); })
        ->Args({2000, 17})
        ->Args({4000, 17})
        ->Args({20000, 17})
        ->Args({4000, 100})
        ->Args({4000, 1000})
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
