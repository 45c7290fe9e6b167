// fidelity DIRECTORY [TOPIC[/CASE]]: runs the cases below DIRECTORY, which must be empty, and prints the observations.
// The topics "full" and "quota" fill the file system and run only when they are named.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "test/system/fidelity/topics.h"

using namespace holdfast::fidelity;

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: fidelity DIRECTORY [TOPIC[/CASE]]\n");
        return 2;
    }
    if (::geteuid() != 0) {
        fprintf(stderr, "fidelity: the cases change users, so it has to run as root\n");
        return 2;
    }
    if (::chdir(argv[1]) != 0) {
        perror(argv[1]);
        return 2;
    }
    const std::string chosen = argc == 3 ? argv[2] : "";
    const Topic* const everyday[] = {
        &path_topic,      &name_topic,    &open_topic,     &create_topic,    &link_topic,  &rename_topic,
        &permission_topic, &sticky_topic, &setid_topic,    &time_topic,      &acl_topic,   &xattr_topic,
        &unlinked_topic,  &data_topic,    &truncate_topic, &allocate_topic,  &copy_topic,  &directory_topic,
        &lock_topic,      &notify_topic,  &mapping_topic,  &special_topic,   &query_topic, &limit_topic,
    };
    const Topic* const on_request[] = {&full_topic, &quota_topic};
    long count = run_topics(everyday, chosen);
    if (!chosen.empty()) count += run_topics(on_request, chosen);
    if (count == 0) {
        fprintf(stderr, "fidelity: no case is called \"%s\"\n", chosen.c_str());
        return 2;
    }
    return 0;
}
