// Puts right what somebody did to an image behind the product's back, as far as names go: so that it can be compared with its source
// (sync/replica_repair.h), which puts right everything else.
//
//   an object under a name that the index does not know of it      goes back to its own
//   a name that is missing of an object that is there              is given again
//   an object that is nowhere                                      is forgotten by the index: the comparison makes it anew. Moments before that
//                                                                  say that it did not exist, because what it was is lost
//   something that the index does not know, or a copy of an object  is set aside in the graveyard's directory set_aside_name, and stays there
//
// What says how it should be is the index: where each object lies, and which names it had and lost. An image that nobody touched costs a look at
// every name and a question for each.
//
// A crash in the middle: nothing is ever removed but a surplus name of an object that has its own, so it is mended once more. The index may have
// forgotten only what was nowhere.
//
// Thread rule: the applier's thread; nothing else changes the image or the index meanwhile, and no View of the store is in use.
#pragma once

#include <functional>

#include "rewind/image.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

struct MendReport {
    uint64_t put_back = 0;   // names
    uint64_t lost = 0;       // objects
    uint64_t set_aside = 0;  // names of what is foreign
    bool is_whole() const { return put_back == 0 && lost == 0 && set_aside == 0; }
    std::string sentence() const;
};

// STEP is called now and then, and ends it with an error. Errors: corrupt (the image's top is another one), io.
Result<MendReport> mend_image(const Image& image, Index& index, const std::function<Status()>& step);

}  // namespace holdfast::rewind
