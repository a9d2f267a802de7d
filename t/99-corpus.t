# SPDX-License-Identifier: Apache-2.0
# What fuzzing found and what it starts from: each file of t/fuzz/corpus/TARGET is run by its target, which claims things
# about what the library makes of it.
use strict;
use warnings;
use FindBin;
use Test::More;

my $source = $ENV{HEADPOND_SOURCE} // "$FindBin::Bin/..";
my $build = $ENV{HEADPOND_BUILD} // '.';
my ($MOST_FILES, $MOST_BYTES) = (200, 300 * 1024);

# Runs a target on files; its status and the names that it printed.
sub replay {
    my ($target, @files) = @_;
    open my $out, '-|', "$build/t/fuzz/$target", @files or die "$target: $!\n";
    chomp(my @names = <$out>);
    close $out;
    return ($?, @names);
}

my @targets = grep { $_ ne 'replay' } map { m{([^/]+)\.c$} } sort glob "$source/t/fuzz/*.c";
is_deeply([map { m{([^/]+)$} } sort glob "$source/t/fuzz/corpus/*"], \@targets, 'each target has a corpus');

for my $target (@targets) {
    my @files = sort glob "$source/t/fuzz/corpus/$target/*";
    my $bytes = 0;
    $bytes += -s for @files;
    cmp_ok(scalar @files, '<=', $MOST_FILES, "$target: at most $MOST_FILES files");
    cmp_ok($bytes, '<=', $MOST_BYTES, "$target: at most $MOST_BYTES bytes");
    my ($status, @names) = replay($target, @files);
    is($status, 0, "$target: what it claims holds for " . @files . ' files') or diag("by $names[-1]");
    is_deeply(\@names, \@files, "$target: all of them were run");
}

isnt(system("'$build/t/fuzz/date' '$source/t/fuzz/corpus/no/such/file' >/dev/null 2>&1"), 0,
    'a file that cannot be read is noticed');
done_testing();
