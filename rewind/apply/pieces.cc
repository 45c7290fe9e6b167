#include "rewind/apply/pieces.h"

#include <algorithm>

namespace holdfast::rewind {

// Afterwards no piece spans OFFSET.
void Pieces::cut(uint64_t offset) {
    auto after = pieces_.lower_bound(offset);
    if (after == pieces_.begin()) return;
    Piece& before = std::prev(after)->second;
    if (before.offset + before.length <= offset) return;
    Piece rest = before;
    const uint64_t kept = offset - before.offset;
    rest.offset = offset;
    rest.length -= kept;
    if (rest.bytes) rest.bytes += kept;
    before.length = kept;
    pieces_.emplace_hint(after, offset, rest);
}

void Pieces::set(const Piece& piece) {
    if (piece.length == 0) return;
    const uint64_t end = piece.offset + piece.length;
    cut(piece.offset);
    cut(end);
    const auto next = pieces_.erase(pieces_.lower_bound(piece.offset), pieces_.lower_bound(end));
    pieces_.emplace_hint(next, piece.offset, piece);
}

Pieces::Piece Pieces::at(uint64_t offset) const {
    const auto after = pieces_.upper_bound(offset);
    const uint64_t next = after == pieces_.end() ? end_of_file : after->first;
    if (after != pieces_.begin()) {
        const Piece& before = std::prev(after)->second;
        if (before.offset + before.length > offset) return before;
    }
    return {offset, next - offset, Kind::image, nullptr};
}

Status Pieces::visit(uint64_t offset, uint64_t end, const std::function<Status(const Piece&)>& visit) const {
    while (offset < end) {
        Piece piece = at(offset);
        const uint64_t skipped = offset - piece.offset;
        if (piece.bytes) piece.bytes += skipped;
        piece.length = std::min(piece.length - skipped, end - offset);
        piece.offset = offset;
        HF_TRY(visit(piece));
        offset += piece.length;
    }
    return ok();
}

}  // namespace holdfast::rewind
