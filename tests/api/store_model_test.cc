// SPDX-License-Identifier: Apache-2.0
// A store against the obvious model: random upserts, deletes, builds, compactions and reopenings.
#include <algorithm>
#include <memory>
#include <set>

#include "gtest/gtest.h"
#include "tests/api/store_operations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium {
namespace {

using testing_support::kOperationDimension;
using testing_support::StoreModel;

// The ids of the k nearest documents by a full sort, with their squared distances.
std::vector<std::pair<float, std::string>> SlowSearch(const StoreModel& model,
                                                      const std::vector<float>& query, std::size_t k) {
  std::vector<std::pair<float, std::string>> found;
  for (const auto& [key, document] : model) {
    float distance = 0;
    for (std::size_t j = 0; j < query.size(); ++j) {
      distance += (query[j] - document.vector[j]) * (query[j] - document.vector[j]);
    }
    found.emplace_back(distance, key.first + "/" + key.second);
  }
  std::sort(found.begin(), found.end());
  if (found.size() > k) found.resize(k);
  return found;
}

void ExpectSameAnswers(const Store& store, const StoreModel& model, std::uint64_t seed) {
  ASSERT_OK_AND_ASSIGN(const StoreModel stored, testing_support::ReadBack(store));
  EXPECT_TRUE(testing_support::SameDocuments(stored, model));
  EXPECT_THAT(store.Count("", std::nullopt), IsOkAndHolds(model.size()));
  std::set<std::pair<std::string, std::string>> all, of_operation;
  const std::string word = "operation " + std::to_string(seed);  // of the texts that one operation wrote
  for (const auto& [key, document] : model) {
    all.insert(key);
    if (document.text.rfind(word + " ", 0) == 0) of_operation.insert(key);
  }
  EXPECT_THAT(testing_support::FindByWords(store, "Operations?"), IsOkAndHolds(all));
  EXPECT_THAT(testing_support::FindByWords(store, std::to_string(seed) + "x"),
              IsOkAndHolds(std::set<std::pair<std::string, std::string>>()));
  if (seed > 5) {  // smaller numbers are also those of documents in a batch
    EXPECT_THAT(testing_support::FindByWords(store, std::to_string(seed)), IsOkAndHolds(of_operation));
  }
  base::Random random(seed);
  std::vector<float> query(kOperationDimension);
  for (float& value : query) value = static_cast<float>(random.Normal());
  for (IndexChoice index : {IndexChoice::kStore, IndexChoice::kExact, IndexChoice::kGraph}) {
    SearchOptions options;
    options.index = index;
    Query asked;
    asked.vectors = {{"", {query.data(), 1, kOperationDimension}}};
    ASSERT_OK_AND_ASSIGN(const SearchResult result, store.Search(asked, options));
    const auto expected = SlowSearch(model, query, options.k);
    ASSERT_EQ(result.hits.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Hit& hit = result.hits[i];
      EXPECT_EQ(hit.partition + "/" + hit.id, expected[i].second);
      EXPECT_NEAR(hit.similarity, expected[i].first, 1e-3);
      EXPECT_EQ(hit.text, (model.at({hit.partition, hit.id}).text));
    }
  }
}

class StoreModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(StoreModelTest, AnswersLikeTheModelThroughEveryOperation) {
  const std::uint64_t seed = GetParam();
  testing_support::TempDir dir(testing_support::TempDir::kMemory);
  StoreModel model;
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Store> store, Store::Open(dir.File("kb")));
  ASSERT_OK(testing_support::PrepareStore(store.get()));
  for (std::uint64_t number = 0; number < 120; ++number) {
    const auto operation = testing_support::MakeOperation(seed, number);
    ASSERT_OK(testing_support::Apply(operation, store.get()));
    testing_support::Apply(operation, &model);
    if (number % 40 == 25) {
      ASSERT_OK(store->Close());
      ASSERT_OK_AND_ASSIGN(store, Store::Open(dir.File("kb")));
    }
    if (number % 8 == 0) ExpectSameAnswers(*store, model, number);
    if (HasFatalFailure()) return;
  }
  EXPECT_OK(store->Verify());
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreModelTest, ::testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace trivium
