// The order of name changes, against a toy file system that refuses what a real one refuses.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

#include "rewind/restore/name_steps.h"

namespace holdfast::test {
namespace {

using journal::ObjectId;
using journal::root_object;
using rewind::Binding;
using rewind::NamedObject;
using rewind::NameStep;
using rewind::Place;
using rewind::staging_object;

bool is_tree(const ObjectId& object) { return object.generation == 1; }

struct Toy {
    std::map<Place, ObjectId> entries;
    std::set<ObjectId> directories{root_object, staging_object};

    size_t names(const ObjectId& object) const {
        return std::count_if(entries.begin(), entries.end(), [&](const auto& e) { return e.second == object; });
    }
    bool is_empty(const ObjectId& directory) const {
        return std::none_of(entries.begin(), entries.end(), [&](const auto& e) { return e.first.directory == directory; });
    }
    // Directories from OBJECT up to the root; the root and staging have no parent.
    bool is_within(ObjectId object, const ObjectId& top) const {
        while (object != root_object && object != staging_object) {
            if (object == top) return true;
            const auto own = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.second == object; });
            REQUIRE(own != entries.end());
            object = own->first.directory;
        }
        return object == top;
    }
    uint32_t depth(ObjectId object) const {
        uint32_t count = 0;
        for (; object != root_object; ++count) {
            const auto own = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.second == object; });
            if (own == entries.end()) return 0;
            object = own->first.directory;
        }
        return count;
    }

    void take(const NameStep& step) {
        if (step.kind != NameStep::Kind::create && step.kind != NameStep::Kind::link)
            REQUIRE(entries.at(step.from) == step.object);
        if (step.to.directory) REQUIRE(directories.count(step.to.directory) == 1);
        if (step.to.directory && step.replaces) {
            REQUIRE(entries.at(step.to) == step.replaces);
            REQUIRE(!is_tree(step.replaces));
            REQUIRE(!is_tree(step.object));
        } else if (step.to.directory) {
            REQUIRE(entries.count(step.to) == 0);
        }
        switch (step.kind) {
            case NameStep::Kind::unlink:
                REQUIRE(!is_tree(step.object));
                entries.erase(step.from);
                break;
            case NameStep::Kind::remove_directory:
                REQUIRE(is_empty(step.object));
                directories.erase(step.object);
                entries.erase(step.from);
                break;
            case NameStep::Kind::move:
                REQUIRE(!(is_tree(step.object) && is_within(step.to.directory, step.object)));
                entries.erase(step.from);
                entries[step.to] = step.object;
                break;
            case NameStep::Kind::link:
                REQUIRE(names(step.object) > 0);
                entries[step.to] = step.object;
                break;
            case NameStep::Kind::create:
                REQUIRE(names(step.object) == 0);
                if (is_tree(step.object)) directories.insert(step.object);
                entries[step.to] = step.object;
        }
    }
};

Toy random_toy(std::mt19937_64& random) {
    Toy toy;
    std::vector<ObjectId> directories{root_object};
    const auto free_place = [&] {
        while (true) {
            // Few names, so that they collide, and always one that is free.
            std::string name(1, static_cast<char>('a' + random() % 5));
            if (random() % 8 == 0) name += std::to_string(random() % 100);
            Place place{directories[random() % directories.size()], std::move(name)};
            if (!toy.entries.count(place)) return place;
        }
    };
    std::vector<ObjectId> objects;
    for (uint64_t i = 0; i < 12; ++i)
        if (random() % 3) objects.push_back({100 + i, static_cast<uint32_t>(i % 2), 1});
    std::shuffle(objects.begin(), objects.end(), random);
    for (const ObjectId& object : objects) {
        toy.entries[free_place()] = object;
        if (is_tree(object)) {
            toy.directories.insert(object);
            directories.push_back(object);
        } else {
            while (random() % 3 == 0) toy.entries[free_place()] = object;
        }
    }
    return toy;
}

}  // namespace

TEST_CASE("name steps: from any tree to any other, without a name twice, a cycle or a full directory removed") {
    const uint64_t seed = static_cast<uint64_t>(time(nullptr));
    for (uint64_t round = 0; round < 1000; ++round) {
        std::mt19937_64 random(seed + round);
        INFO("seed " << seed + round);
        Toy now = random_toy(random);
        const Toy then = random_toy(random);
        std::set<Place> places;
        std::unordered_map<ObjectId, NamedObject> objects;
        for (const Toy* toy : {static_cast<const Toy*>(&now), &then}) {
            for (const auto& [place, object] : toy->entries) {
                places.insert(place);
                objects[object] = {is_tree(object), static_cast<uint32_t>(now.names(object))};
            }
        }
        std::vector<Binding> bindings;
        for (const Place& place : places) {
            Binding binding{place, {}, {}, 0, 0};
            if (const auto found = now.entries.find(place); found != now.entries.end()) binding.now = found->second;
            if (const auto found = then.entries.find(place); found != then.entries.end()) binding.then = found->second;
            if (binding.now == binding.then) continue;
            binding.depth_now = now.directories.count(place.directory) ? now.depth(place.directory) + 1 : 0;
            binding.depth_then = then.directories.count(place.directory) ? then.depth(place.directory) + 1 : 0;
            bindings.push_back(binding);
        }
        std::shuffle(bindings.begin(), bindings.end(), random);
        for (const NameStep& step : rewind::plan_names(bindings, objects)) now.take(step);
        REQUIRE(now.entries == then.entries);
        REQUIRE(now.directories == then.directories);
    }
}

TEST_CASE("name steps: a file that was replaced by another comes back in one rename") {
    const ObjectId old_file{10, 0, 1}, new_file{11, 0, 1};
    const std::vector<Binding> bindings{{{root_object, "config"}, new_file, old_file, 1, 1}};
    const auto steps = rewind::plan_names(bindings, {{old_file, {false, 0}}, {new_file, {false, 1}}});
    REQUIRE(steps.size() == 1);
    CHECK(steps[0].kind == NameStep::Kind::create);
    CHECK(steps[0].replaces == new_file);
}

TEST_CASE("name steps: two files that changed names change back through one staged name") {
    const ObjectId a{10, 0, 1}, b{11, 0, 1};
    const std::vector<Binding> bindings{{{root_object, "a"}, b, a, 1, 1}, {{root_object, "b"}, a, b, 1, 1}};
    const auto steps = rewind::plan_names(bindings, {{a, {false, 1}}, {b, {false, 1}}});
    CHECK(steps.size() == 3);
}

}  // namespace holdfast::test
