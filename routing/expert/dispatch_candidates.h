// SPDX-License-Identifier: Apache-2.0
// The settings among which the trainer chooses, router by router.
#pragma once

#include <string_view>
#include <vector>

#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/query_mixture.h"

namespace trivium::routing {

// Shrinkage that leaves of the votes of neighbours nothing beside the mean over all pilots.
inline constexpr float kOverAll = 1e6f;

// Of the shares of owners; 2 to 8 are about as good on 790 requests to 16 engines, see docs/dispatch.md.
inline constexpr float kSharpPower = 4;

// `several_owners`: queries have more than one, see HasSeveralOwners.
inline std::vector<RouterOptions> RouterCandidates(std::string_view router, bool several_owners = false) {
  std::vector<RouterOptions> candidates;
  if (router == "knn_utility") {
    for (float class_balance : {0.0f, 0.5f, 1.0f, 1.25f}) {
      for (float temperature : {0.05f, 0.07f, 0.1f}) {
        candidates.push_back({.class_balance = class_balance, .temperature = temperature});
      }
    }
  } else if (router == "linear") {
    for (float class_balance : {0.0f, 1.0f}) {
      for (float ridge : {3.0f, 10.0f, 30.0f}) {
        candidates.push_back({.class_balance = class_balance, .ridge = ridge});
      }
    }
  } else if (router == "logistic" || router == "bilevel") {
    for (float class_balance : {0.5f, 1.0f}) {
      for (float ridge : {0.03f, 0.1f}) {
        candidates.push_back({.class_balance = class_balance, .ridge = ridge});
      }
    }
    for (float class_balance : {0.0f, 0.5f}) {
      if (!several_owners) break;
      for (float ridge : {0.1f, 0.3f}) {
        candidates.push_back({.class_balance = class_balance, .ridge = ridge, .owner_power = kSharpPower});
      }
    }
    for (float document_share : {0.1f, 0.2f, 0.35f}) {
      if (router == "logistic") candidates.push_back({.ridge = 0.1f, .document_share = document_share});
    }
  } else if (router == "pooled") {
    for (float pilot_share : {0.3f, 0.6f}) {
      RouterOptions options = {.class_balance = 0, .neighbor_count = 50, .temperature = 0.1f};
      options.pilot_share = pilot_share;
      options.ridge = 0.1f;
      candidates.push_back(options);
      options.ridge = 0.3f;
      options.owner_power = kSharpPower;
      candidates.push_back(options);
    }
  } else if (router == "cluster_table") {
    for (std::size_t cluster_count : {32, 128, 512}) {
      for (float shrinkage : {1.0f, 5.0f}) {
        candidates.push_back({.shrinkage = shrinkage, .cluster_count = cluster_count});
      }
    }
  } else if (router == "tree") {
    for (float temperature : {0.03f, 0.02f, 0.05f}) candidates.push_back({.temperature = temperature});
  } else if (router == "moments") {
    for (float depth : {1.0f, 10.0f}) candidates.push_back({.depth = depth});
  } else if (router == "agreement") {
    candidates = {{}, {.shrinkage = kOverAll}};
  } else {
    candidates.push_back({});
  }
  return candidates;
}

// `base` gives the fields that are not chosen here.
inline std::vector<DispatchOptions> PolicyCandidates(std::string_view router, const DispatchOptions& base) {
  DispatchOptions single = base;
  single.max_experts = 1;
  if (router == "static_best") return {single};  // one expert for everybody: that is the rival
  // Similarities differ far less between experts than utilities do, so their shares must be sharpened more.
  // Agreements likewise, and their source asks one expert alone.
  const bool agreement = router == "agreement";
  const bool similarity = router == "mean_pilot" || router == "max_pilot" || agreement;
  // Label-free shares know nothing of how often they are right, and are too sure rather than not enough.
  const bool label_free = router == "tree" || router == "moments" || router == "description";
  const std::vector<float> temperatures = similarity   ? std::vector<float>{0.5f, 0.2f, 0.1f, 0.05f}
                                          : label_free ? std::vector<float>{4.0f, 2.0f, 1.0f, 0.5f}
                                                       : std::vector<float>{1.0f, 0.7f, 0.5f, 0.33f};
  std::vector<DispatchOptions> candidates;
  if (agreement) candidates.push_back(single);
  for (float temperature : temperatures) {
    for (float top_p : {0.9f, 0.95f, 0.98f}) {
      candidates.push_back(base);
      candidates.back().temperature = temperature;
      candidates.back().top_p = top_p;
    }
  }
  return candidates;
}

// Where nothing can be compared. Agreement says reliably who is the odd one out, not who is best: those that
// agree clearly less are left out. Measured on three experts of two spaces and words, see docs/dispatch.md.
inline DispatchOptions UncomparedPolicy(std::string_view router) {
  if (router != "agreement") return {};
  return {.temperature = 0.1f, .top_p = 0.9f};
}

// Weights of log(probability) as a score prior; cosines of neighbouring ranks differ by about 0.01.
inline constexpr float kPriorCandidates[] = {0.0f, 0.01f, 0.02f, 0.03f, 0.04f, 0.06f, 0.08f};
inline constexpr float kPriorWhileTuning = 0.03f;

// Likewise of log(revised probability), which is surer; below which largest share more experts are asked, and
// how many then. Measured on 17 collections, see docs/dispatch.md.
inline constexpr float kLookedPriorCandidates[] = {0.0f,  0.01f, 0.02f, 0.03f, 0.04f,
                                                   0.06f, 0.1f,  0.15f, 0.2f};
inline constexpr float kLookedPriorWhileTuning = 0.06f;
inline constexpr float kWidenCandidates[] = {0.0f, 0.6f, 0.75f, 0.9f};
inline constexpr float kWiderTopP = 0.998f;
inline constexpr float kLookedTemperatures[] = {0.7f, 1.0f};

// Shares of lexical experts. Measured on 17 collections, see docs/dispatch.md.
inline constexpr float kLexicalCandidates[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};

// Least similarity of an earlier query to be heard, and what an expert's hits are raised by where it is
// heard.
inline constexpr float kMemoryThresholds[] = {0.5f, 0.6f, 0.7f, 0.8f};
inline constexpr float kMemoryWeights[] = {0.2f, 0.4f, 0.8f};

// Mixtures: shares of the experts with every temperature of the policy, then all shares. Measured on 17
// collections, see docs/dispatch.md.
inline constexpr float kOwnCandidates[] = {0.0f, 0.5f, 0.65f, 0.8f, 1.0f};
inline constexpr float kPlainCandidates[] = {0.0f, 0.25f, 0.5f, 0.75f, 1.0f};
inline constexpr float kPlainWhileTuning = 0.5f;

}  // namespace trivium::routing
