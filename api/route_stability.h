// SPDX-License-Identifier: Apache-2.0
// How far a training of dispatch changes whom queries are sent to.
#pragma once

#include <cstdint>
#include <optional>

#include "api/store_state.h"
#include "routing/expert/dispatch_trainer.h"
#include "routing/expert/pilot_set.h"

namespace trivium {

// Share of `pilots` whose first expert by the router just trained (columns: the state's experts) is another
// one than by the router in use. None: there is none, it reads another space, or there are no pilots.
std::optional<double> FirstExpertChanged(const StoreState& state, const routing::TrainedDispatch& trained,
                                         std::uint32_t space, const routing::PilotSet& pilots);

}  // namespace trivium
