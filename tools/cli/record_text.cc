#include "tools/cli/record_text.h"

#include "base/name_text.h"
#include "base/text.h"

namespace holdfast::cli {
namespace {

using namespace journal;

struct AttributeName {
    uint32_t bit;
    const char* name;
};
constexpr AttributeName attribute_names[] = {{HF_ATTR_MODE, "mode"},         {HF_ATTR_UID, "uid"},           {HF_ATTR_GID, "gid"},
                                             {HF_ATTR_ATIME, "atime_ns"},    {HF_ATTR_MTIME, "mtime_ns"},    {HF_ATTR_CTIME, "ctime_ns"}};

Json attributes_to_json(const Attributes& attributes) {
    Json json = Json::object();
    const int64_t values[] = {attributes.mode, attributes.uid, attributes.gid, attributes.atime_ns, attributes.mtime_ns, attributes.ctime_ns};
    for (size_t index = 0; index < std::size(attribute_names); ++index) {
        if (attributes.valid & attribute_names[index].bit) json[attribute_names[index].name] = values[index];
    }
    return json;
}

// The members of each body. A body without members adds none.
struct ToJson {
    Json& json;

    void operator()(const Write& body) const {
        json["offset"] = body.offset;
        json["bytes"] = body.data.size();
    }
    void operator()(const Truncate& body) const { json["size"] = body.size; }
    void operator()(const Fallocate& body) const { json.update({{"offset", body.offset}, {"bytes", body.length}, {"mode", body.mode}}); }
    void operator()(const Birth& body) const {
        json.update({{"parent", to_string(body.parent)}, {"name", name_to_text(body.name)}, {"attributes", attributes_to_json(body.attributes)}});
        if (body.rdev != 0) json["rdev"] = body.rdev;
        if (!body.target.empty()) json["target"] = name_to_text(body.target);
        for (const Xattr& xattr : body.xattrs) json["xattrs"][name_to_text(xattr.name)] = name_to_text(xattr.value);
    }
    void operator()(const Link& body) const { json.update({{"parent", to_string(body.parent)}, {"name", name_to_text(body.name)}}); }
    void operator()(const Unlink& body) const {
        json.update({{"parent", to_string(body.parent)}, {"name", name_to_text(body.name)}, {"last_link", body.last_link}});
    }
    void operator()(const Rename& body) const {
        json.update({{"old_parent", to_string(body.old_parent)}, {"old_name", name_to_text(body.old_name)}, {"new_parent", to_string(body.new_parent)},
                     {"new_name", name_to_text(body.new_name)},  {"exchange", body.exchange}});
        if (body.other) json.update({{"other", to_string(body.other)}, {"last_link", body.last_link}});
    }
    void operator()(const SetAttr& body) const { json["attributes"] = attributes_to_json(body.attributes); }
    void operator()(const SetXattr& body) const { json.update({{"xattr", name_to_text(body.xattr.name)}, {"value", name_to_text(body.xattr.value)}}); }
    void operator()(const RemoveXattr& body) const { json["xattr"] = name_to_text(body.name); }
    void operator()(const Bookmark& body) const { json["name"] = name_to_text(body.name); }
    void operator()(const Gap& body) const {
        json.update({{"reason", static_cast<int>(body.reason)}, {"since_ns", body.since_ns}, {"sentence", name_to_text(body.sentence)}});
    }
    void operator()(const Session& body) const { json.update({{"session", body.session}, {"clean", body.clean}}); }
    void operator()(const SegmentEnd& body) const { json["records"] = body.record_count; }
    void operator()(const OrphanEnd&) const {}
    void operator()(const Marker&) const {}
};

std::string detail_value(const Json& value) {
    if (value.is_string()) return printable(text_to_name(value.get<std::string>()));
    if (value.is_object()) {
        std::string text;
        for (const auto& [name, member] : value.items()) text += (text.empty() ? "" : " ") + printable(text_to_name(name)) + "=" + detail_value(member);
        return "{" + text + "}";
    }
    return value.dump();
}

}  // namespace

Json record_to_json(const Record& record) {
    Json json = {{"lsn", record.lsn}, {"length", record.length}, {"type", to_string(record.type)}, {"time_ns", record.time_ns}};
    if (record.object) json["object"] = to_string(record.object);
    if (record.flags & HF_RECORD_REPAIR) json["repair"] = true;
    if (record.flags & HF_RECORD_FROM_MMAP) json["from_mmap"] = true;
    std::visit(ToJson{json}, record.body);
    return json;
}

std::string record_line(const Record& record) {
    Json json = record_to_json(record);
    std::string line = std::to_string(record.lsn) + "  " + local_time(record.time_ns) + "  " + to_string(record.type);
    if (record.object) line += "  " + to_string(record.object);
    for (const char* shown : {"lsn", "length", "type", "time_ns", "object"}) json.erase(shown);
    for (const auto& [name, value] : json.items()) line += "  " + name + "=" + detail_value(value);
    return line + "\n";
}

}  // namespace holdfast::cli
