# SPDX-License-Identifier: Apache-2.0
# Who asks, what for, and what happened before: every credential by every kind of read by every state of the cache, where
# the origin is asked for its yes and where the account's key gives it. Each cell has a container, a blob and a credential of
# its own, so that what it costs at the origin is known. What is expected follows from the rules below and nothing else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Differential::Credentials;
use Headpond::Differential::Sign;
use Headpond::Differential::Wire;
use Headpond::Differential::World;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep time);

my $SIZE = 96 << 10;     # less than a block: its data is one request
my $SLOW_SIZE = 384 << 10;
my $SLOW_RATE = 3 << 20;
my $VERSION = '2021-12-02';
my ($FIRST, $LAST) = (1000, 1999);
my ($KEY, $OTHER_KEY) = map { encode_base64($_ x 64, '') } 'k', 'o';

# ---- The rules. ----
#
# How a credential is treated, where the origin is asked and where the account's key is known:
#   ask      the origin gives its yes, which is remembered: a question
#   forward  not for the cache: each request goes to the origin as it came
#   vouch    the key says yes: no question
#   refuse   the key, or the clock, says no: the origin hears nothing
# and what the origin says to it: undef for yes, or status and code. `lost`: what it says after the revocation.
my $UNKNOWN = [401, 'NoAuthenticationInformation'];
my $BAD = [403, 'AuthenticationFailed'];
my @CREDENTIALS = (
    # name, [origin, key], verdict, lost, make
    ['anonymous-public', ['ask', 'ask'], undef, $UNKNOWN, sub { +{} }],
    ['anonymous-private', ['ask', 'ask'], $UNKNOWN, undef, sub { +{} }],
    ['sas-blob', ['ask', 'vouch'], undef, undef, sub { service($_[0], sr => 'b') }],
    ['sas-container', ['ask', 'vouch'], undef, undef, sub { service($_[0]) }],
    ['sas-account', ['ask', 'vouch'], undef, undef, sub { account_sas($_[0]) }],
    ['sas-policy', ['ask', 'ask'], undef, $BAD, sub { policy($_[0]) }],
    ['sas-write-only', ['forward', 'refuse'], [403, 'AuthorizationPermissionMismatch'], undef, sub { service($_[0], sp => 'w') }],
    ['sas-expired', ['forward', 'refuse'], $BAD, undef, sub { service($_[0], se => Headpond::Differential::Sign::iso_date(time - 5 - $_[0]{serial})) }],
    ['sas-prolonged', ['ask', 'refuse'], $BAD, undef, sub { Headpond::Differential::Credentials::spoil(service($_[0]), qr/se=\d{4}/, 'se=2098') }],
    ['sas-raised', ['ask', 'refuse'], $BAD, undef, sub { Headpond::Differential::Credentials::spoil(service($_[0], sp => 'w'), qr/sp=w/, 'sp=r') }],
    ['shared-key', ['forward', 'vouch'], undef, undef, sub { +{ sign => $KEY } }],
    ['shared-key-wrong', ['forward', 'refuse'], $BAD, undef, sub { +{ sign => $OTHER_KEY } }],
    ['bearer', ['ask', 'ask'], undef, [401, 'InvalidAuthenticationInfo'], sub { bearer($_[0]) }],
    ['bearer-unknown', ['ask', 'ask'], [401, 'InvalidAuthenticationInfo'], undef, sub { bearer($_[0], unknown => 1) }],
);

# The reads: `same` names the blob's ETag in If-None-Match, `different` another one.
my @OPERATIONS = qw(get range head same different);

# The states: another has read it (GET and HEAD; but in flight: is reading it), and so has this credential if it may.
#   cold    nobody has asked           hit     another has           again   this one, too
#   flight  another's fill is slow     stale   nothing is fresh      write   then it was written through headpond
#   acl     revoked, by a comp=acl that headpond saw                 ttl     revoked elsewhere, and the yes is too old
my @STATES = qw(cold hit again flight stale write acl ttl);

# How many requests the origin gets for a read that it or the key permits. The question is a GET of one byte (a HEAD for
# HEAD) and brings the record up to date, so it is at once the validation; data is one request more, unless nothing is known,
# when the first question is for the data itself.
sub cost {
    my ($way, $state, $operation) = @_;
    return 1 if $way eq 'forward';
    my $data = $operation =~ /^(get|range|different)$/;
    return $operation eq 'different' ? 2 : 1 if $state eq 'cold'; # a condition mostly ends in 304: not for the data at once
    return $data ? 2 : 1 if $state eq 'write';                    # the bytes that were known are another generation's
    return 1 if $state eq 'stale';
    my $asks = $way eq 'ask' && $state =~ /^(hit|flight|acl|ttl)$/; # another's yes is not this one's
    return 1 if $asks;
    return 1 if $operation eq 'different';                        # it knows of another generation: maybe there is one
    return 1 if $state eq 'flight' && $operation eq 'head';       # a GET does not tell all that a HEAD does
    return 0;
}

# Whether what is asked for is the blob's data, and not only whether and which.
sub costs_data {
    my ($way, $state, $operation) = @_;
    return $operation ne 'head' && $operation ne 'same' && ($way eq 'forward' || $state =~ /^(cold|write)$/);
}

sub revoked { my ($state) = @_; return $state eq 'acl' || $state eq 'ttl' }

# What the origin says at the end: undef for yes.
sub verdict {
    my ($credential, $state) = @_;
    my (undef, undef, $now, $lost) = @$credential;
    return $now // (revoked($state) ? $lost : undef);
}

# ---- Credentials. ----

my $origin = Headpond::Origin->start;
my %keys = (key => $KEY, key2 => $OTHER_KEY, other_key => $OTHER_KEY);
my %world = map { $_ => Headpond::Differential::World->new(address => $origin->{address}, account => $_, %keys) } qw(acct stale brief);
$origin->account($_, key => $KEY) for keys %world;

sub service { my ($cell, %p) = @_; return Headpond::Differential::Credentials::secret_service($cell->{world}, { %$cell, name => 'x' }, %p) }
sub account_sas { my ($cell) = @_; return Headpond::Differential::Credentials::secret_account($cell->{world}, $cell) }

sub policy {
    my ($cell) = @_;
    $cell->{world}->put_policies($cell->{container});
    return service($cell, si => 'readers', sp => undef, se => undef);
}

sub bearer {
    my ($cell, %o) = @_;
    my $line = $origin->bearer("/$cell->{account}/$cell->{container}", %o);
    ($cell->{token}) = $line =~ /Bearer (.*)/ unless $o{unknown};
    return { headers => [[split /: /, $line, 2]] };
}

# Somebody else who may read: the account's key signs for the container, till another time.
sub another { my ($cell) = @_; return service($cell, st => '2020-01-01T00:00:00Z') }

# ---- Requests. ----

my $direct = Headpond::Differential::Wire->new($origin->{address});
my $serial = 0;

sub signed_by { my ($key) = @_; return { key => $key, date => Headpond::Differential::Sign::http_date(time) } }

sub text_of {
    my ($cell, $credential, $address, $method, @headers) = @_;
    return $cell->{world}->write_out({ method => $method, container => $cell->{container}, blob => 'x', query => $credential->{query},
        headers => [['x-ms-version', $VERSION], @headers, @{ $credential->{headers} // [] }],
        sign => $credential->{sign} && signed_by($credential->{sign}) },
        { address => $address, style => 'path' });
}

sub simple {
    my ($reply) = @_;
    my %headers = map { $_->[0] => $_->[1] } @{ $reply->{headers} };
    return { %$reply, headers => \%headers };
}

sub ask {
    my ($cell, $credential, $method, @headers) = @_;
    return simple($cell->{wire}->exchange($method, text_of($cell, $credential, $cell->{pond}{http}, $method, @headers)));
}

# What the origin has, told to one who may read.
sub truth {
    my ($cell) = @_;
    my $reply = simple($direct->exchange('GET', text_of($cell, $cell->{another}, $origin->{address}, 'GET')));
    die "origin: $reply->{status}" if $reply->{status} != 200;
    return $reply;
}

# The origin's log of the cell's blob.
sub told { my ($cell) = @_; return @{ $origin->log($cell->{path}) } }

# ---- A cell: made, brought to its state, and judged. ----

sub make {
    my ($pond, $mode, $credential, $operation, $state) = @_;
    my $account = $state eq 'stale' ? 'stale' : $state eq 'ttl' ? 'brief' : 'acct';
    my $cell = { pond => $pond, wire => $pond->{wire}, world => $world{$account}, account => $account, container => 'c' . ++$serial, serial => $serial,
        credential => $credential, operation => $operation, state => $state, way => $credential->[1][$mode],
        name => "$pond->{name}: $credential->[0], $operation, $state" };
    $cell->{path} = "/$account/$cell->{container}/x";
    $origin->container("$account/$cell->{container}", public => $credential->[0] eq 'anonymous-public' ? 1 : 0);
    $origin->blob($cell->{path}, size => $state eq 'flight' ? $SLOW_SIZE : $SIZE, seed => $serial, 'meta-hint' => "h1nt$serial", type => 'text/x-cell');
    $cell->{another} = another($cell);
    $cell->{own} = $credential->[4]->($cell);
    $cell->{truth} = truth($cell);
    return $cell;
}

sub must { my ($cell, $what, $status, $reply) = @_; $cell->{problem} //= "$what: $reply->{status}, not $status" if $reply->{status} != $status }

sub prepare {
    my ($cell) = @_;
    my $state = $cell->{state};
    return if $state eq 'cold';
    return begin_slowly($cell) if $state eq 'flight';
    must($cell, "another's $_", 200, ask($cell, $cell->{another}, $_)) for qw(GET HEAD);
    must($cell, "its own $_", 200, ask($cell, $cell->{own}, $_)) for $state ne 'hit' && !$cell->{credential}[2] ? qw(GET HEAD) : ();
    change($cell) if $state eq 'write';
    revoke($cell) if revoked($state);
}

# Another's GET whose head has come and whose data is on its way.
sub begin_slowly {
    my ($cell) = @_;
    $origin->fault(path => $cell->{path}, rate => $SLOW_RATE, times => 1);
    my $wire = $cell->{slow} = Headpond::Differential::Wire->new($cell->{pond}{http});
    $wire->connect;
    syswrite $wire->{socket}, text_of($cell, $cell->{another}, $cell->{pond}{http}, 'GET');
    my $head = $wire->read_head;
    $wire->more if $wire->{text} eq '';
    must($cell, 'the slow GET', 200, $head);
}

sub end_slowly {
    my ($cell) = @_;
    my $body = eval { $cell->{slow}->bytes($SLOW_SIZE) };
    $cell->{problem} //= 'another\'s reply broke: ' . ($@ || 'other bytes') unless defined $body && $body eq $cell->{truth}{body};
}

sub change {
    my ($cell) = @_;
    $cell->{before} = $cell->{truth};
    my $reply = simple($cell->{wire}->exchange('PUT', $cell->{world}->write_out({ method => 'PUT', container => $cell->{container}, blob => 'x',
        headers => [['x-ms-version', $VERSION], ['x-ms-blob-type', 'BlockBlob'], ['x-ms-meta-hint', "n3w$cell->{serial}"]],
        body => Headpond::Differential::World::bytes($SIZE + 1, 7 * $cell->{serial}), sign => signed_by($KEY) },
        { address => $cell->{pond}{http}, style => 'path' })));
    must($cell, 'the write', 201, $reply);
    $cell->{truth} = truth($cell);
    $cell->{problem} //= 'the write changed nothing' if $cell->{truth}{body} eq $cell->{before}{body};
}

# The container is private from now on and has no policies; its token is forgotten.
sub revoke {
    my ($cell) = @_;
    my $text = $cell->{world}->write_out({ method => 'PUT', container => $cell->{container}, query => ['restype=container', 'comp=acl'], body => '',
        headers => [['x-ms-version', $VERSION]], sign => signed_by($KEY) },
        { address => $cell->{pond}{http}, style => 'path' });
    $origin->control(DELETE => 'grant', token => $cell->{token}) if $cell->{token};
    my $wire = $cell->{state} eq 'acl' ? $cell->{wire} : $direct;
    must($cell, 'comp=acl', 200, simple($wire->exchange('PUT', $text)));
    $cell->{revoked} = time;
}

sub read_it {
    my ($cell) = @_;
    my $etag = $cell->{truth}{headers}{etag};
    my $older = $cell->{before} ? $cell->{before}{headers}{etag} : '"0x8D0"';
    my %headers = (range => [['Range', "bytes=$FIRST-$LAST"]], same => [['If-None-Match', $etag]], different => [['If-None-Match', $older]]);
    return ask($cell, $cell->{own}, $cell->{operation} eq 'head' ? 'HEAD' : 'GET', @{ $headers{ $cell->{operation} } // [] });
}

my ($caught, $flights) = (0, 0); # fills that were still under way

sub judge {
    my ($cell) = @_;
    my @before = told($cell);
    if ($cell->{slow}) {
        $flights++;
        $caught++ unless $before[-1]{ended};
    }
    my $reply = read_it($cell);
    my @asked = splice @{ [told($cell)] }, scalar @before;
    end_slowly($cell) if $cell->{slow};
    my $no = verdict($cell->{credential}, $cell->{state});
    my @found = $cell->{problem} // ();
    push @found, "the reply: $reply->{broken}" if $reply->{broken};
    push @found, $no ? refusal_problems($cell, $reply, @$no) : answer_problems($cell, $reply);
    push @found, cost_problems($cell, $no, @asked);
    return @found;
}

sub differs {
    my ($what, $got, $expected) = map { $_ // '(none)' } @_;
    return $got eq $expected ? () : "$what: $got, not $expected";
}

# The right answer to one who may read.
sub answer_problems {
    my ($cell, $reply) = @_;
    my ($operation, $truth) = @$cell{qw(operation truth)};
    my $status = $operation eq 'range' ? 206 : $operation eq 'same' ? 304 : 200;
    my @found = differs('status', $reply->{status}, $status);
    push @found, differs($_, $reply->{headers}{$_}, $truth->{headers}{$_}) for qw(etag last-modified);
    my $body = $operation eq 'range' ? substr($truth->{body}, $FIRST, $LAST - $FIRST + 1) : $operation =~ /^(get|different)$/ ? $truth->{body} : '';
    push @found, 'body: ' . length($reply->{body}) . ' bytes, not the right ' . length $body if $reply->{body} ne $body;
    return @found if $status == 304;
    my $length = $operation eq 'head' ? length $truth->{body} : length $body;
    push @found, differs('content-length', $reply->{headers}{'content-length'}, $length);
    push @found, differs('content-range', $reply->{headers}{'content-range'}, $status == 206 ? "bytes $FIRST-$LAST/" . length $truth->{body} : undef);
    push @found, differs($_, $reply->{headers}{$_}, $truth->{headers}{$_}) for qw(x-ms-meta-hint content-type x-ms-blob-type);
    return @found;
}

# A refusal, and nothing of the blob in it: neither a property nor a byte.
sub refusal_problems {
    my ($cell, $reply, $status, $code) = @_;
    my @found = (differs('status', $reply->{status}, $status), differs('code', $reply->{headers}{'x-ms-error-code'}, $code));
    my @told = grep { exists $reply->{headers}{$_} } qw(etag last-modified content-md5 content-range accept-ranges x-ms-meta-hint x-ms-blob-type
        x-ms-blob-content-md5 x-ms-creation-time x-ms-server-encrypted x-ms-lease-status x-ms-access-tier);
    push @found, "tells @told" if @told;
    push @found, 'says that it is a hit' if ($reply->{headers}{'cache-status'} // '') =~ /; hit/;
    if ($cell->{operation} eq 'head') {
        push @found, 'a body to HEAD' if $reply->{body} ne '';
    } else {
        my $good = $reply->{body} =~ m{^(\xef\xbb\xbf)?<\?xml [\x20-\x7e\r\n]*<Code>$code</Code>[\x20-\x7e\r\n]*</Error>$};
        push @found, 'not an error\'s text' if !$good || length $reply->{body} > 1000;
    }
    my $all = join "\n", $reply->{body}, %{ $reply->{headers} };
    my @secrets = map { ($_->{headers}{etag} =~ tr/"//dr, $_->{headers}{'x-ms-meta-hint'}) } grep { defined } @$cell{qw(truth before)};
    push @found, 'tells the ETag or the metadata' if grep { index($all, $_) >= 0 } @secrets;
    return @found;
}

# What the origin was asked, and how much of the blob it had to send.
sub cost_problems {
    my ($cell, $no, @asked) = @_;
    my ($way, $state, $operation) = @$cell{qw(way state operation)};
    my $expected = !$no ? cost($way, $state, $operation) : $way eq 'refuse' ? 0 : 1;
    my @found = differs('requests to the origin', scalar @asked, $expected);
    my $sent = 0;
    $sent += $_->{body_bytes} for grep { $_->{status} =~ /^20/ } @asked;
    my $whole = length $cell->{truth}{body};
    my $most = $no ? 0 : costs_data($way, $state, $operation) ? $whole + 1 : 1; # and the question's byte
    push @found, "the origin sent $sent bytes, at most $most" if $sent > $most;
    push @found, '(' . join(', ', map { "$_->{method} " . ($_->{range} // '') . " $_->{status}" } @asked) . ')' if @found;
    return @found;
}

# ---- Both configurations. ----

my $cells = 0;

sub run_state {
    my ($pond, $mode, $state) = @_;
    my @cells;
    my $run = sub {
        my ($cell) = @_;
        my @found = judge($cell);
        ok(!@found, $cell->{name}) or diag(join '; ', @found);
        $cells++;
    };
    for my $credential (@CREDENTIALS) {
        for my $operation (@OPERATIONS) {
            my $cell = make($pond, $mode, $credential, $operation, $state);
            prepare($cell);
            $state eq 'ttl' ? push @cells, $cell : $run->($cell);
        }
    }
    return unless @cells;
    sleep 0.05 while time < $cells[-1]{revoked} + 1.1; # authorize_ttl is counted from before the last question
    $run->($_) for @cells;
}

for my $mode (0, 1) {
    my $name = (qw(origin key))[$mode];
    my $dir = Headpond->folder;
    Headpond::Process::spew("$dir/key", "$KEY\n");
    my %terms = (acct => {}, stale => { freshness => '0s' }, brief => { authorize_ttl => '1s' });
    my %account = (authorize => $name, $mode ? (key_file => "$dir/key") : (), freshness => '3600s', authorize_ttl => '3600s');
    my @accounts = map { { name => $_, origin => "http://$origin->{address}/$_", %account, %{ $terms{$_} } } } sort keys %terms;
    my $pond = Headpond->start(config => { accounts => \@accounts });
    $pond->{name} = $name;
    $pond->{wire} = Headpond::Differential::Wire->new($pond->{http});
    for my $state (@STATES) {
        subtest "authorize: $name, $state" => sub { run_state($pond, $mode, $state) };
    }
    $pond->stop;
}
cmp_ok($caught, '>=', $flights * 0.9, "$caught of $flights fills were under way when they were joined") if Headpond::Process::slowness() == 1;
note("$cells cells");

done_testing();
