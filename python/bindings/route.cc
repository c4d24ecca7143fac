// SPDX-License-Identifier: Apache-2.0
// Routes: which experts were asked, why, and how to ask them again.
#include <pybind11/stl.h>

#include "bindings.h"
#include "errors.h"
#include "results.h"
#include "trivium/search_result.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

std::string Repr(const std::string& text) { return py::repr(py::str(text)).cast<std::string>(); }
std::string Repr(double value) { return py::str("{:.4g}").format(value).cast<std::string>(); }

std::vector<std::string> Chosen(const Route& route) {
  std::vector<std::string> names;
  for (const ExpertConsidered& expert : route.experts) {
    if (expert.chosen) names.push_back(expert.expert);
  }
  return names;
}

// All of them where an explanation was asked for: the others only fill the screen.
std::vector<ExpertConsidered> ExpertsShown(const Route& route) {
  std::vector<ExpertConsidered> shown;
  for (const ExpertConsidered& expert : route.experts) {
    if (expert.chosen || route.explanation) shown.push_back(expert);
  }
  return shown;
}

void BindExpertConsidered(py::module_& module) {
  py::class_<ExpertConsidered>(module, "ExpertConsidered", "What dispatch thought of one expert.")
      .def_readonly("expert", &ExpertConsidered::expert)
      .def_readonly("chosen", &ExpertConsidered::chosen)
      .def_readonly("utility", &ExpertConsidered::utility,
                    "Expected nDCG@10 if it alone answered; NaN: unknown.")
      .def_readonly("uncertainty", &ExpertConsidered::uncertainty, "Standard deviation of that expectation.")
      .def_readonly("probability", &ExpertConsidered::probability, "Share among the allowed experts, 0 to 1.")
      .def_readonly(
          "revised", &ExpertConsidered::revised,
          "The probability after a second look, at what was found; NaN: not asked, or there was none.")
      .def_readonly("cost", &ExpertConsidered::cost)
      .def_readonly("reason", &ExpertConsidered::reason, "Why it was chosen or not, in words.")
      .def("__repr__", [](const ExpertConsidered& expert) {
        return "ExpertConsidered(expert=" + Repr(expert.expert) +
               ", chosen=" + (expert.chosen ? "True" : "False") +
               ", probability=" + Repr(expert.probability) + ", utility=" + Repr(expert.utility) + ")";
      });
}

void BindExplanation(py::module_& module) {
  py::class_<NearPilot>(module, "NearPilot", "A remembered query near the one asked.")
      .def_readonly("number", &NearPilot::number, "In the order in which the store remembers them.")
      .def_readonly("cosine", &NearPilot::cosine, "To the query, in the space that routes.")
      .def_readonly("source", &NearPilot::source, "\"trained\", \"feedback\" or \"background\".")
      .def_readonly("owner", &NearPilot::owner, "The expert whose query it is; \"\": unknown.")
      .def_readonly("best", &NearPilot::best, "The expert that answered it best; \"\": none did, or unknown.")
      .def_readonly("best_utility", &NearPilot::best_utility, "nDCG@10 of that answer.")
      .def_readonly("weight", &NearPilot::weight, "How much it counts beside other pilots.")
      .def_readonly("contribution", &NearPilot::contribution,
                    "knn_utility: what its vote adds to the utility of the explanation's expert; else None.")
      .def_readonly("share", &NearPilot::share, "Likewise its share of all votes.")
      .def("__repr__", [](const NearPilot& pilot) {
        return "NearPilot(number=" + std::to_string(pilot.number) + ", cosine=" + Repr(pilot.cosine) +
               ", owner=" + Repr(pilot.owner) + ", best=" + Repr(pilot.best) + ")";
      });
  py::class_<RouteMargin>(module, "RouteMargin",
                          "How far an expert is from being chosen or left out, the others being as they are.")
      .def_readonly("expert", &RouteMargin::expert)
      .def_readonly("utility", &RouteMargin::utility)
      .def_readonly("needed", &RouteMargin::needed, "The least utility with which it would be chosen.")
      .def("__repr__", [](const RouteMargin& margin) {
        return "RouteMargin(expert=" + Repr(margin.expert) + ", utility=" + Repr(margin.utility) +
               ", needed=" + Repr(margin.needed) + ")";
      });
  py::class_<RouteExplanation>(module, "RouteExplanation", "Why a trained router chose as it did.")
      .def_readonly("expert", &RouteExplanation::expert, "First chosen; \"\": no router chose.")
      .def_readonly("pilots", &RouteExplanation::pilots, "list of NearPilot, nearest first, at most 10.")
      .def_readonly(
          "other_contribution", &RouteExplanation::other_contribution,
          "knn_utility: what the other pilots that voted add to the utility of `expert`; else None.")
      .def_readonly("prior_contribution", &RouteExplanation::prior_contribution,
                    "knn_utility: what its mean over all pilots adds; else None.")
      .def_readonly("left_out", &RouteExplanation::left_out,
                    "The strongest expert that was left out; None: there is none.")
      .def_readonly("last_chosen", &RouteExplanation::last_chosen,
                    "The weakest expert that was chosen, and the utility it could fall to.")
      .def("__repr__", [](const RouteExplanation& explanation) {
        return "<RouteExplanation of " + Repr(explanation.expert) + ", " +
               std::to_string(explanation.pilots.size()) + " pilots>";
      });
}

}  // namespace

void BindRoute(py::module_& module) {
  BindExpertConsidered(module);
  BindExplanation(module);
  py::class_<Route>(module, "Route", "Which experts were asked, by whose choice.")
      .def_readonly("mode", &Route::mode, "\"auto\", \"all\" or \"named\".")
      .def_readonly("router", &Route::router, "The router that chose; \"\" where none did.")
      .def_readonly("reading", &Route::reading,
                    "\"plain\", \"adapted\" by an adapter, or \"mixed\" out of several readings.")
      .def_readonly(
          "fusion", &Route::fusion,
          "\"single\", \"score\", \"score+prior\", \"rrf\", \"convex\", or \"none\" without a search.")
      .def_readonly("rejected", &Route::rejected,
                    "Whether the guard took the query for one that no expert serves.")
      .def_readonly("in_domain", &Route::in_domain,
                    "Probability that one does, by the guard; None: it was not asked.")
      .def_readonly("untrained", &Route::untrained,
                    "Asked as without a router: no adapter but that of all domains.")
      .def_readonly("prior_weight", &Route::prior_weight,
                    "Of log probabilities, revised ones where there are, added to scores.")
      .def_readonly("widened", &Route::widened,
                    "Whether more experts were asked because a second look was not sure.")
      .def_readonly("remembered", &Route::remembered,
                    "How many documents were judged relevant for queries like this one, and so raised.")
      .def_readonly("lexical_weight", &Route::lexical_weight,
                    "Learned share of lexical experts in the answer, or None.")
      .def_property_readonly(
          "mixture",
          [](const Route& route) -> py::object {
            if (!route.mixture) return py::none();
            return py::dict("own"_a = route.mixture->own, "plain"_a = route.mixture->plain);
          },
          "Where the reading is mixed: {\"own\": ..., \"plain\": ...}; else None.")
      .def_property_readonly(
          "experts", ExpertsShown,
          "The chosen ones in the order of asking, then by probability; all of them with explain=True.")
      .def_property_readonly("chosen", Chosen, "Names of the experts that were asked.")
      .def_readonly("explanation", &Route::explanation, "RouteExplanation with explain=True; else None.")
      .def(
          "to_dict",
          [](const Route& route) { return py::module_::import("json").attr("loads")(route.ToJson()); },
          "As `trivium search --json` prints it: all experts, whatever `experts` shows; NaN is None.")
      .def_static(
          "from_json", [](const std::string& json) { return Check(Route::FromJson(json)); }, "json"_a,
          "What `to_dict` gives, as JSON, or a whole answer of `trivium search --json`. Raises "
          "InvalidArgument.")
      .def("__repr__", [](const Route& route) {
        return "Route(mode=" + Repr(route.mode) + ", router=" + Repr(route.router) +
               ", fusion=" + Repr(route.fusion) +
               ", chosen=" + py::repr(py::cast(Chosen(route))).cast<std::string>() + ")";
      });
}

}  // namespace trivium::python
