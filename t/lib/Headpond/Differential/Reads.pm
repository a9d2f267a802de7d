# SPDX-License-Identifier: Apache-2.0
# Reads, by chance: a blob that is there or not, a credential, and up to four things that make a read another one. A case
# says what it holds (`with`) so that exceptions can be told from what they are about, and whether the cache has to answer
# it (`for_cache`).
package Headpond::Differential::Reads;
use strict;
use warnings;
use Headpond::Differential::Credentials;
use Headpond::Differential::Sign;
use Headpond::Differential::World;

our @VERSIONS = qw(2013-08-15 2015-02-21 2017-04-17 2018-11-09 2019-12-12 2020-10-02 2021-12-02 2022-11-02 2023-11-03 2024-11-04);

# ---- What may be added. Each takes the case, its blob and the random numbers, and says what it has added. ----

sub add { my ($case, @headers) = @_; push @{ $case->{request}{headers} }, @headers }
sub ask { my ($case, @parts) = @_; push @{ $case->{request}{query} }, @parts }

sub a_range {
    my ($random, $size) = @_;
    my $some = sub { $random->int($size || 1) };
    my ($a, $b) = sort { $a <=> $b } $some->(), $some->();
    return $random->weighted(
        [6, "bytes=$a-$b"], [4, "bytes=$a-"], [2, 'bytes=0-'], [2, 'bytes=0-0'], [2, sprintf 'bytes=%d-%d', ($size || 1) - 1, ($size || 1) - 1],
        [2, "bytes=$a-" . ($size + 1000)], [2, 'bytes=' . ($size + 1) . '-'], [2, "bytes=$size-"], [1, "bytes=$size-$size"],
        [2, 'bytes=0-' . ($size - 1)], [2, 'bytes=1048575-1048576'], [2, 'bytes=1048576-'], [1, 'bytes=9223372036854775807-'],
        [1, 'bytes=18446744073709551616-'], [1, 'bytes=0-99999999999999999999999'], [1, 'bytes=' . ($a + 1) . "-$a"], [1, 'bytes=5-2'],
        [1, "bytes=$a-$b,0-0"], [1, 'bytes=0-0,2-2'], [1, 'bytes=-5'], [1, 'bytes=-0'], [1, "bytes=-$size"], [1, 'bytes=-'], [1, 'bytes='], [1, 'bytes=a-b'],
        [1, 'bytes=0 - 5'], [1, 'bytes= 0-5'], [1, 'bytes =0-5'], [1, 'Bytes=0-5'], [1, 'lines=0-5'], [1, '0-5'], [1, 'bytes=0x1-5'], [1, 'bytes=+1-5'],
        [1, 'bytes=00000000000000000000001-5'], [1, 'bytes=1-5-9'], [1, 'bytes=1-5;q=1'], [1, ''],
    );
}

sub with_range {
    my ($case, $blob, $random) = @_;
    my $names = $random->weighted([5, ['Range']], [4, ['x-ms-range']], [1, ['Range', 'x-ms-range']], [1, ['range']], [1, ['Range', 'Range']]);
    my @values = map { a_range($random, $blob->{size}) } @$names;
    add($case, map { [$names->[$_], $values[$_]] } 0 .. $#$names);
    my $counts = (map { $values[$_] } grep { lc $names->[$_] eq 'x-ms-range' } 0 .. $#$names)[0] // $values[0];
    return "@$names" eq 'Range Range' ? 'odd-range' : range_kind($counts);
}

sub range_kind {
    my ($value) = @_;
    my ($first, $last) = $value =~ /^bytes=(\d+)-(\d*)$/;
    return 'range' if defined $first && ($last eq '' || $last >= $first);
    return $value =~ /^bytes=-\d+$/ ? 'suffix-range' : 'odd-range';
}

sub a_tag_list {
    my ($random, $blob) = @_;
    my $tag = $blob->{etag} // '"0x8D0000000000000"';
    my $bare = $tag =~ tr/"//dr;
    return $random->weighted([5, [$tag]], [3, [$bare, 'bare']], [2, ["\"0x8DEADBEEF000000\""]], [2, ["\"x\", $tag", 'list']], [1, ["$tag,\"y\"", 'list']],
        [1, ["\"x\",\"y\"", 'list']], [2, ['*', 'star']], [1, ["W/$tag", 'weak']], [1, ["\"$bare", 'unbalanced']], [1, ['', 'blank']], [1, [',', 'blank']],
        [1, ["$bare, x", 'list']], [1, ["\"a,b\", $tag", 'comma']], [1, [lc $tag, 'lower']], [1, ["*, $tag", 'list']], [1, ['garbage garbage', 'odd']]);
}

sub a_date {
    my ($random, $blob) = @_;
    my $at = $blob->{modified} // 'Mon, 01 Jan 2024 00:00:00 GMT';
    return $random->weighted([5, [$at]], [3, ['Sun, 06 Nov 1994 08:49:37 GMT']], [3, ['Sat, 06 Nov 2094 08:49:37 GMT']], [1, ['garbage', 'bad-date']],
        [1, ['2024-01-01T00:00:00Z', 'bad-date']], [1, ['Sunday, 06-Nov-94 08:49:37 GMT', 'old-date']], [1, ['Sun Nov  6 08:49:37 1994', 'old-date']],
        [1, ['', 'bad-date']], [1, ['Mon, 06 Nov 1994 08:49:37 GMT', 'bad-date']], [1, ['Sun, 31 Feb 2094 08:49:37 GMT', 'bad-date']], [1, ['0', 'bad-date']]);
}

sub with_condition {
    my ($case, $blob, $random) = @_;
    my $name = $random->weighted([4, 'If-Match'], [4, 'If-None-Match'], [3, 'If-Modified-Since'], [3, 'If-Unmodified-Since'], [1, 'if-none-match']);
    my ($value, $kind) = @{ $name =~ /match/i ? a_tag_list($random, $blob) : a_date($random, $blob) };
    add($case, [$name, $value]);
    return ('condition', $kind ? "condition-$kind" : (), lc $name);
}

sub with_unknown {
    my ($case, $blob, $random) = @_;
    ask($case, $random->pick('x=1', 'foo', 'sdd=1', 'a=b&c', '=x', 'prefix=a', '%20=1', 'x=%zz', 'x=%00'));
    return ('unknown-query', $case->{request}{query}[-1] =~ /%zz|%00/ ? 'bad-escape' : ());
}

sub with_snapshot {
    my ($case, $blob, $random) = @_;
    my $good = $blob->{snapshot};
    my ($name, $value, $kind) = @{ $random->weighted(
        [defined $good ? 12 : 0, ['snapshot', $good, 'snapshot']], [2, ['snapshot', '2020-01-01T00:00:00.0000000Z', 'no-snapshot']],
        [1, ['snapshot', 'garbage', 'bad-snapshot']], [1, ['snapshot', '', 'bad-snapshot']], [1, ['versionid', '2020-01-01T00:00:00.0000000Z', 'no-version']],
        [1, ['versionid', 'garbage', 'bad-version']], [defined $good ? 1 : 0, ['SnapShot', $good, 'odd-case']]) };
    $case->{snapshot_asked} = 1 if $kind eq 'snapshot';
    ask($case, "$name=" . Headpond::Differential::Sign::escape($value));
    return $kind;
}

my %GUARDED = (
    'range-md5' => [['x-ms-range-get-content-md5', 'true']], 'range-crc64' => [['x-ms-range-get-content-crc64', 'true']],
    'lease' => [['x-ms-lease-id', '11111111-2222-3333-4444-555555555555']], 'bad-lease' => [['x-ms-lease-id', 'x']],
    'cpk' => [['x-ms-encryption-key', 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='], ['x-ms-encryption-key-sha256', 'n0CoA4B0Kn1MdR3S0gKvfhXpUPXPUz/1QQ1sbEmMqBo='],
        ['x-ms-encryption-algorithm', 'AES256']], 'if-tags' => [['x-ms-if-tags', "\"a\" = 'b'"]], 'cors' => [['Origin', 'http://elsewhere.example']],
    'structured' => [['x-ms-structured-body', 'XSM/1.0; properties=crc64']], 'if-range' => [['If-Range', '"x"'], ['Range', 'bytes=0-1']],
);

sub with_guarded {
    my ($case, $blob, $random) = @_;
    my $kind = $random->pick(sort keys %GUARDED);
    add($case, @{ $GUARDED{$kind} });
    return ('guarded', $kind) if $kind !~ /^range-/ || $random->chance(20);
    my $range = a_range($random, $blob->{size});
    add($case, ['x-ms-range', $range]);
    return ('guarded', $kind, range_kind($range));
}

sub with_harmless {
    my ($case, $blob, $random) = @_;
    my $header = $random->pick(['Accept-Encoding', 'gzip, deflate'], ['Cache-Control', 'no-cache'], ['Accept', 'application/xml'], ['User-Agent', 'differential/1'],
        ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'], ['Connection', 'keep-alive'], ['Accept-Language', 'de'],
        ['X-Forwarded-For', '10.1.2.3'], ['Content-Type', 'text/plain'], ['TE', 'trailers']);
    add($case, $header);
    return 'harmless';
}

sub with_timeout {
    my ($case, $blob, $random) = @_;
    my $value = $random->pick('30', '30', '90', '0', '-1', 'abc', '');
    ask($case, $random->pick('timeout', 'timeout', 'Timeout') . "=$value");
    return ('timeout', $value =~ /^[1-9]/ ? () : 'bad-timeout', $case->{request}{query}[-1] =~ /^T/ ? 'odd-case' : ());
}

sub with_repeated {
    my ($case, $blob, $random) = @_;
    ask($case, @{ $random->pick(['timeout=5', 'timeout=6'], ['comp=metadata', 'comp=list'], ['x=1', 'x=2'],
        ['snapshot=2020-01-01T00:00:00.0000000Z', 'snapshot=2020-01-02T00:00:00.0000000Z']) });
    return 'repeated-query';
}

sub with_operation {
    my ($case, $blob, $random) = @_;
    ask($case, $random->pick('comp=metadata', 'comp=tags', 'comp=blocklist', 'comp=nonsense', 'comp=', 'restype=container', 'comp=properties', 'Comp=metadata'));
    return 'operation';
}

my @FEATURES = ([26, \&with_range], [20, \&with_condition], [6, \&with_guarded], [4, \&with_harmless], [3, \&with_timeout], [3, \&with_unknown],
    [4, \&with_snapshot], [2, \&with_repeated], [2, \&with_operation]);

# Those the cache may answer all the same.
my %CACHED = map { $_ => 1 } qw(range harmless snapshot);

# ---- What is asked for. ----

sub a_version {
    my ($case, $random) = @_;
    my $version = $random->weighted([30, '2023-11-03'], [40, 'some'], [8, ''], [1, 'garbage'], [1, '2021-13-99'], [1, '2199-01-01'], [1, 'twice']);
    $version = $random->pick(@VERSIONS) if $version eq 'some';
    add($case, ['x-ms-version', $_]) for $version eq 'twice' ? ('2021-12-02', '2020-10-02') : $version eq '' ? () : $version;
    $case->{version} = $version =~ /^20[012]\d-[01]\d-[0-3]\d$/ ? $version : '';
    return $version eq '' ? 'no-version' : $version eq '2199-01-01' || $version eq '2021-13-99' ? 'unknown-version' : $case->{version} eq '' ? 'bad-version-header' : ();
}

# Other spellings of the same name, as some client may write it.
sub spell {
    my ($name, $random) = @_;
    my $encoded = Headpond::Differential::World::encode($name);
    return ($encoded) unless $random->chance(8);
    my $other = $random->pick($encoded =~ s{/}{%2F}gr, $encoded =~ s{/}{%2f}gr,
        $encoded =~ s/([a-z])/sprintf '%%%02X', ord $1/er, $encoded =~ s/%([0-9A-F]{2})/'%' . lc $1/ger);
    return ($other, $other ne $encoded ? 'other-spelling' : ());
}

sub target {
    my ($world, $random, $case) = @_;
    my $which = $random->weighted([70, 'there'], [18, 'new'], [4, 'missing'], [2, 'no-container'], [2, 'container'], [1, 'account'], [2, 'odd-path'], [1, 'root']);
    my $container = $random->pick(qw(private private public-blobs public));
    return ($world->{blobs}[$random->int(scalar @{ $world->{blobs} })], 'there') if $which eq 'there';
    if ($which eq 'new') {
        my @templates = $random->chance(93) ? $world->small_templates : $world->other_templates;
        return ($case->{made} = $world->make($container, $random->pick(@templates), "new/$case->{number}"), 'new');
    }
    my %other = ('missing' => [$container, 'not/here'], 'no-container' => ['nothing-here', 'x'], 'container' => [$container, undef], 'account' => [undef, undef],
        'root' => [undef, 'small'], 'odd-path' => [$container, $random->pick('a/../small', './small', 'a' x 1025, 'small/.', 'a/./b', '..%2Fx',
            '../x', '%2e%2e/x', 'x%', 'x%zz', 'x%00y', 'sm\\all', '%ff%fe')]);
    my ($c, $name) = @{ $other{$which} };
    return ({ container => $c, name => $name, size => 4096, raw => $which eq 'odd-path' }, $which);
}

sub build {
    my ($world, $random, $number) = @_;
    my $case = { number => $number, request => { method => 'GET', query => [], headers => [] } };
    my ($blob, $which) = target($world, $random, $case);
    my $request = $case->{request};
    my @with = ($which);
    $request->{method} = $random->weighted([74, 'GET'], [22, 'HEAD'], [2, 'OPTIONS'], [1, 'POST'], [1, 'PROPFIND']);
    push @with, "method-$request->{method}" if $request->{method} !~ /^(GET|HEAD)$/;
    $request->{container} = $blob->{container};
    if (defined $blob->{name}) {
        my ($text, @kinds) = $blob->{raw} ? ($blob->{name}) : spell($blob->{name}, $random);
        $request->{blob} = $text;
        push @with, @kinds;
    }
    push @with, $random->pick('plain-list', 'list') if $which eq 'container';
    ask($case, 'restype=container') if $which eq 'container';
    ask($case, 'comp=list', $random->pick('prefix=no', 'delimiter=%2F', 'maxresults=5')) if $with[-1] eq 'list';
    my $method = $request->{method};
    add($case, ['Access-Control-Request-Method', 'GET'], ['Origin', 'http://elsewhere.example']) if $method eq 'OPTIONS' && $random->chance(70);
    push @with, a_version($case, $random);
    add($case, ['x-ms-client-request-id', "case-$number"]) if $random->chance(40);
    my $count = $random->weighted([30, 0], [40, 1], [20, 2], [10, 3]);
    push @with, $random->weighted(@FEATURES)->($case, $blob, $random) for 1 .. $count;
    my $snapshot = $case->{snapshot_asked} ? $blob->{snapshot} : undef;
    my $name = $blob->{name} // '';
    $name = Headpond::Differential::Sign::unescape($name) if $blob->{raw};
    my $credential = Headpond::Differential::Credentials::choose($random, $world,
        { container => $blob->{container} // '$root', name => $name, snapshot => $snapshot, serial => $number % 50_000 });
    push @{ $request->{query} }, @{ $credential->{query} // [] };
    push @{ $request->{headers} }, @{ $credential->{headers} // [] };
    $request->{sign} = $credential->{sign};
    $case->{credential} = $credential->{name};
    $case->{for_credential} = $credential->{for_cache};
    my %count;
    $count{ lc $_->[0] }++ for @{ $request->{headers} };
    push @with, 'odd-range' if grep { ($count{$_} // 0) > 1 } qw(range x-ms-range);
    push @with, 'condition-list' if grep { ($count{$_} // 0) > 1 } qw(if-match if-none-match);
    $case->{with} = { map { $_ => 1 } @with };
    # Whether a token for a blob is one for its snapshots is not headpond's to judge, and so not what else it says.
    $credential->{for_cache} = 0 if $case->{snapshot_asked} && $credential->{name} =~ /^sas-/ && $credential->{for_cache} eq 'key';
    $case->{for_cache} = plain(\@with, $method) ? $credential->{for_cache} : 0;
    return $case;
}

# Nothing about it keeps it from the cache.
sub plain {
    my ($with, $method) = @_;
    return 0 if $method !~ /^(GET|HEAD)$/ || $with->[0] !~ /^(there|new)$/;
    return !grep { !$CACHED{$_} && $_ !~ /^(there|new|no-version|unknown-version|other-spelling)$/ } @$with;
}

1;
