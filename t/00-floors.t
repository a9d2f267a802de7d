# SPDX-License-Identifier: Apache-2.0
# The map of the source tree holds, and the checker that says so notices when it does not.
use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $source = $ENV{HEADPOND_SOURCE} // "$FindBin::Bin/..";

# Lays out a tree of files and returns what the checker complains of.
sub complaints {
    my (%files) = @_;
    my $root = tempdir(CLEANUP => 1);
    for my $path (keys %files) {
        make_path("$root/$path" =~ s{/[^/]+$}{}r);
        open my $file, '>', "$root/$path" or die;
        print $file "/* SPDX-License-Identifier: Apache-2.0 */\n" unless $files{$path} =~ /^none/ || $path =~ /^\./;
        print $file $files{$path};
    }
    my $out = qx($^X '$source/contrib/floors' '$root' 2>&1);
    return ($?, $out);
}

my %good = ('src/base/a.h' => '', 'src/net/b.h' => "#include \"base/a.h\"\n", 'src/store/index_inside.h' => "#include <lmdb.h>\n");

subtest 'this tree' => sub {
    my $out = qx($^X '$source/contrib/floors' '$source' 2>&1);
    is($?, 0, 'nothing to complain of') or diag(join '', grep { !/^ok/ } map { "$_\n" } split /\n/, $out);
};

subtest 'the checker itself' => sub {
    my @cases = (
        ['a good tree', {}, undef],
        ['an include of a floor above', { 'src/base/x.c' => "#include \"net/b.h\"\n" }, qr/on a floor above/],
        ['an include of a neighbour',
            { 'src/http/h.h' => '', 'src/blob/x.c' => "#include \"http/h.h\"\n" }, qr/neighbour/],
        ['LMDB elsewhere', { 'src/cache/x.c' => "#include <lmdb.h>\n" }, qr/belongs to/],
        ['a folder off the map', { 'src/attic/x.c' => '' }, qr/not ok .*on the map/],
        ['an include without its floor', { 'src/net/x.c' => "#include \"b.h\"\n" }, qr/floor\/file\.h/],
        ['no licence', { 'src/net/x.c' => "none\n" }, qr/not ok .*licence/],
        ['too long', { 'src/net/x.c' => "\n" x 601 }, qr/not ok .*at most/],
        ['a test that runs', { 't/local.mk' => "t_files = t/00-x.t t/01-y.t\n", 't/00-x.t' => '' }, undef],
        ['a test that does not', { 't/local.mk' => "t_files = t/00-x.t\n", 't/01-x.t' => '' }, qr/not ok .*01-x\.t: a makefile names it/],
        ['the format', { '.clang-format' => "IndentWidth: 4\n", 'src/net/x.c' => "int  x;\n" },
            system('command -v clang-format-14 >/dev/null') ? undef : qr/not ok .*format/],
    );
    for my $case (@cases) {
        my ($name, $extra, $expected) = @$case;
        my ($status, $out) = complaints(%good, %$extra);
        $expected ? like($out, $expected, "$name: said") : is($status, 0, "$name: passes") || diag($out);
        isnt($status, 0, "$name: fails") if $expected;
    }
};

# contrib/check names a test that is not there before it builds anything.
{
    my $said = qx("$source/contrib/check" --quick t/nope.t 2>&1);
    is($? >> 8, 2, 'contrib/check: a test that is not there');
    is($said, "contrib/check: no such test: t/nope.t\n", 'is named');
}

done_testing();
