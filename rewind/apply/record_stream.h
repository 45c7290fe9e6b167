// Records in their order, read again after a crash: those of the journal, or those of a repair (sync/repair_log.h).
// Thread rule: one thread.
#pragma once

#include <optional>

#include "journal/reader.h"

namespace holdfast::rewind {

class RecordStream {
public:
    virtual ~RecordStream() = default;
    virtual void seek(journal::Lsn lsn) = 0;
    virtual journal::Lsn position() const = 0;
    // Nothing: the stream ends. The record borrows until the next call.
    virtual Result<std::optional<journal::Record>> next() = 0;
};

class JournalStream final : public RecordStream {
public:
    explicit JournalStream(journal::Reader& reader) : reader_(reader) {}
    void seek(journal::Lsn lsn) override { reader_.seek(lsn); }
    journal::Lsn position() const override { return reader_.position(); }
    Result<std::optional<journal::Record>> next() override { return reader_.next(); }

private:
    journal::Reader& reader_;
};

}  // namespace holdfast::rewind
