// Holds a view, or a live directory tree, against the model: names, types, bytes, holes, modes, owners, devices,
// xattrs, link counts, symlink targets and, where they are known, modification times. The answer is the first
// difference as a sentence, or nothing.
#pragma once

#include <optional>
#include <string>

#include "rewind/view.h"
#include "test/model/model.h"

namespace holdfast::test {

std::optional<std::string> difference(const rewind::View& view, const Model& model);
std::optional<std::string> difference(const std::string& directory, const Model& model);
// A standby directory: its files are others than the source's, attributes that it has no room for lie in the store, and its top has an entry of the
// product's own, which is empty.
std::optional<std::string> standby_difference(const std::string& directory, const std::string& store, const Model& model);

}  // namespace holdfast::test
